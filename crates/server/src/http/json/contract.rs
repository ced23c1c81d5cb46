//! The methods of the contract by path, with their input and output types.

use std::collections::HashMap;

use http::Uri;
use parlance_transport::layers::faults;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor, MethodDescriptor};
use tonic::{Code, Status};

/// Error of a compiled-in descriptor set that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableContract {
    /// The types are inconsistent.
    #[error(transparent)]
    Types(#[from] DescriptorError),
    /// The name of a method is not valid in a path.
    #[error(transparent)]
    Path(#[from] http::uri::InvalidUri),
}

/// Method to call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) uri: &'a Uri,
    pub(super) input: &'a MessageDescriptor,
    pub(super) output: &'a MessageDescriptor,
}

#[derive(Debug)]
struct Entry {
    uri: Uri,
    input: MessageDescriptor,
    output: MessageDescriptor,
    streams: bool,
}

/// All methods by path.
#[derive(Debug)]
pub(super) struct Contract(HashMap<String, Entry>);

impl Contract {
    pub(super) fn new(contracts: &[&[u8]]) -> Result<Self, UnreadableContract> {
        let mut pool = DescriptorPool::new();
        for contract in contracts {
            pool.decode_file_descriptor_set(*contract)?;
        }
        let methods = pool.services().flat_map(|service| {
            let methods: Vec<_> = service.methods().collect();
            methods
        });
        let entries = methods.map(|method| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            Ok((path.clone(), Entry::new(&method, path.parse()?)))
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the method of that path: `None` if there is none, an error if the method is streaming.
    pub(super) fn find(&self, path: &str) -> Option<Result<Target<'_>, Status>> {
        let entry = self.0.get(path)?;
        if entry.streams {
            return Some(Err(streaming(path)));
        }
        Some(Ok(Target {
            uri: &entry.uri,
            input: &entry.input,
            output: &entry.output,
        }))
    }
}

impl Entry {
    fn new(method: &MethodDescriptor, uri: Uri) -> Self {
        Self {
            uri,
            input: method.input(),
            output: method.output(),
            streams: method.is_client_streaming() || method.is_server_streaming(),
        }
    }
}

fn streaming(path: &str) -> Status {
    let name = path.trim_start_matches('/');
    let message = format!(
        "{name} is a streaming method, which JSON over HTTP does not support; call it by gRPC: \
         grpcurl -plaintext -d '{{}}' <gRPC address> {name}"
    );
    faults::fault(Code::Unimplemented, "STREAMING_METHOD", message)
}
