//! Every method that is served, by its path: what keeps labels bounded and tells calls from streams.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::telemetry::metrics::{MethodMetrics, RpcMetrics};

/// How a method's calls end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One request, one reply.
    Unary,
    /// A stream in either direction that comes to an end.
    Stream,
    /// A stream that goes on until somebody ends it; at a shutdown it is we.
    EndlessStream,
}

/// One method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) path: String,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Whether the client sends a stream.
    pub(super) client_streams: bool,
    pub(super) metrics: MethodMetrics,
}

/// All of them. The first stands for whatever is unknown.
#[derive(Debug)]
pub struct Methods {
    list: Vec<Method>,
    by_path: HashMap<String, usize>,
}

/// The label of what is unknown: whoever calls made-up names must not make series.
const OTHER: &str = "other";
const OTHER_INDEX: usize = 0;

impl Methods {
    /// Those of some contracts, each an encoded `FileDescriptorSet`. The paths named are endless streams.
    pub fn new(
        contracts: &[&[u8]],
        endless: &[&str],
        metrics: &RpcMetrics,
    ) -> Result<Self, prost::DecodeError> {
        let mut methods = Self {
            list: Vec::new(),
            by_path: HashMap::new(),
        };
        methods.add(OTHER, OTHER, Shape::Unary, false, metrics);
        for contract in contracts {
            for file in FileDescriptorSet::decode(*contract)?.file {
                for service in &file.service {
                    let full_name = format!("{}.{}", file.package(), service.name());
                    for method in &service.method {
                        let path = format!("/{full_name}/{}", method.name());
                        let shape = if endless.contains(&path.as_str()) {
                            Shape::EndlessStream
                        } else if method.client_streaming() || method.server_streaming() {
                            Shape::Stream
                        } else {
                            Shape::Unary
                        };
                        let streams = method.client_streaming();
                        methods.add(&full_name, method.name(), shape, streams, metrics);
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
        shape: Shape,
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
            shape,
            client_streams,
            metrics: metrics.method(service, name),
        });
    }

    /// Where the path's method stands; `None` where there is none.
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
