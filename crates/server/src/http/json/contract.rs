//! The methods by their paths, and what they take and give.

use std::collections::HashMap;

use http::Uri;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor, MethodDescriptor};
use tonic::{Code, Status};

use crate::layers::faults;

/// A contract that is compiled in is not one.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableContract {
    /// Its types do not fit together.
    #[error(transparent)]
    Types(#[from] DescriptorError),
    /// A method's name cannot stand in a path.
    #[error(transparent)]
    Path(#[from] http::uri::InvalidUri),
}

/// What one call needs to know.
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

/// All methods.
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

    /// `None` where there is no such method, a refusal where it is not one request and one reply.
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
        "{name} is a stream, which JSON over HTTP does not carry; call it by gRPC: \
         grpcurl -plaintext -d '{{}}' <gRPC address> {name}"
    );
    faults::fault(Code::Unimplemented, "STREAMING_METHOD", message)
}
