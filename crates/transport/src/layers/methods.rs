//! Table of the served methods by path. It bounds the metric labels and distinguishes unary calls from streams.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::metrics::{MethodMetrics, RpcMetrics};

/// Kind of a method, by how its calls end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// One request, one reply.
    Unary,
    /// A stream in either direction that comes to an end.
    Stream,
    /// A stream without an end of its own: the client ends it, or the service at a shutdown.
    EndlessStream,
}

/// A served method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) path: String,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: MethodKind,
    /// Whether the client sends a stream.
    pub(super) client_streams: bool,
    pub(super) metrics: MethodMetrics,
}

/// All served methods. The first entry stands for every unknown method.
#[derive(Debug)]
pub struct Methods {
    list: Vec<Method>,
    by_path: HashMap<String, usize>,
}

/// Label of unknown methods: a client that calls made-up names must not create metric series.
const OTHER: &str = "other";
const OTHER_INDEX: usize = 0;

impl Methods {
    /// Reads the methods of these contracts, each an encoded `FileDescriptorSet`. Paths in `endless` are endless streams.
    pub fn new(
        contracts: &[&[u8]],
        endless: &[&str],
        metrics: &RpcMetrics,
    ) -> Result<Self, prost::DecodeError> {
        let mut methods = Self {
            list: Vec::new(),
            by_path: HashMap::new(),
        };
        methods.add(OTHER, OTHER, MethodKind::Unary, false, metrics);
        for contract in contracts {
            for file in FileDescriptorSet::decode(*contract)?.file {
                for service in &file.service {
                    let full_name = format!("{}.{}", file.package(), service.name());
                    for method in &service.method {
                        let path = format!("/{full_name}/{}", method.name());
                        let kind = if endless.contains(&path.as_str()) {
                            MethodKind::EndlessStream
                        } else if method.client_streaming() || method.server_streaming() {
                            MethodKind::Stream
                        } else {
                            MethodKind::Unary
                        };
                        let streams = method.client_streaming();
                        methods.add(&full_name, method.name(), kind, streams, metrics);
                    }
                }
            }
        }
        Ok(methods)
    }

    fn add(
        &mut self,
        service: &str,
        name: &str,
        kind: MethodKind,
        client_streams: bool,
        metrics: &RpcMetrics,
    ) {
        let path = format!("/{service}/{name}");
        if self.by_path.contains_key(&path) {
            return;
        }
        self.by_path.insert(path.clone(), self.list.len());
        self.list.push(Method {
            path,
            service: service.to_owned(),
            name: name.to_owned(),
            kind,
            client_streams,
            metrics: metrics.method(service, name),
        });
    }

    /// Returns the index of the method with this path.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let index = self.by_path.get(path).copied();
        index.filter(|index| *index != OTHER_INDEX)
    }

    pub(super) fn other() -> usize {
        OTHER_INDEX
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "indices come from `find` and `other` of the same table"
    )]
    pub(super) fn at(&self, index: usize) -> &Method {
        &self.list[index]
    }
}
