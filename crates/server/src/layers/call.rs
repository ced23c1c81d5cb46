//! The record of one call: opened when it comes, closed exactly once, whichever way it ends.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use tonic::Code;
use tracing::Span;

use super::budget::Budget;
use super::methods::{Method, Methods};
use super::{cause, faults};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::{self, RpcMetrics};
use crate::telemetry::trace;

/// What all calls share.
#[derive(Debug)]
pub struct Shared {
    pub(super) methods: Methods,
    pub(super) metrics: RpcMetrics,
    pub(super) shutdown: Shutdown,
    pub(super) budget: Budget,
    /// Whether anybody collects traces.
    pub(super) traced: bool,
}

impl Shared {
    /// For one port.
    pub fn new(
        methods: Methods,
        metrics: RpcMetrics,
        shutdown: Shutdown,
        budget: Budget,
        traced: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            methods,
            metrics,
            shutdown,
            budget,
            traced,
        })
    }
}

/// One call. Dropped without [`finish`](Self::finish), its client has left.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    method: usize,
    started: Instant,
    pub(super) span: Span,
    owner: Option<HeaderValue>,
    /// What the client calls this call; boxed, since most clients send neither.
    ids: Option<Box<Ids>>,
    finished: bool,
}

#[derive(Debug)]
struct Ids {
    trace: Option<HeaderValue>,
    request: Option<HeaderValue>,
}

impl Call {
    pub(super) fn new(shared: Arc<Shared>, method: usize, headers: &HeaderMap) -> Self {
        shared.metrics.enter();
        let span = {
            let Method {
                path,
                service,
                name,
                ..
            } = shared.methods.at(method);
            trace::span(shared.traced, headers, path, service, name)
        };
        let trace = headers.get("traceparent").cloned();
        let request = headers.get("x-request-id").cloned();
        let ids = (trace.is_some() || request.is_some()).then(|| Box::new(Ids { trace, request }));
        Self {
            shared,
            method,
            started: Instant::now(),
            span,
            owner: headers.get(OWNER).cloned(),
            ids,
            finished: false,
        }
    }

    pub(super) fn method(&self) -> &Method {
        self.shared.methods.at(self.method)
    }

    /// How it ended. The first word counts.
    pub(super) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let code = self.blame_cut(code);
        self.shared.metrics.leave();
        let took = self.started.elapsed();
        self.method().metrics.record(code, took);
        trace::record_end(&self.span, code);
        self.log(code, took);
    }

    /// The code of a call that the end of the service has cut: the connection breaks, which looks as if the client had left.
    fn blame_cut(&self, code: Code) -> Code {
        if matches!(code, Code::Cancelled | Code::Aborted) && self.shared.shutdown.is_cut() {
            return faults::going_away().code();
        }
        code
    }

    /// The line of the call: `info` for a failure of the service, `debug` for all others.
    fn log(&self, code: Code, took: Duration) {
        macro_rules! line {
            ($level:ident, $text:literal) => {{
                let ids = self.ids.as_deref();
                let trace = ids.and_then(|ids| ids.trace.as_ref()).and_then(trace_id);
                let request = ids.and_then(|ids| ids.request.as_ref()).and_then(harmless);
                self.span.in_scope(|| {
                    tracing::$level!(
                        rpc = self.method().path.as_str(),
                        code = metrics::name(code),
                        ms = took.as_secs_f64() * 1e3,
                        owner = self.owner.as_ref().map(owner_hash),
                        request_id = request,
                        trace_id = trace,
                        cause = cause::take().as_deref(),
                        $text
                    );
                });
            }};
        }
        if is_failure(code) {
            if tracing::enabled!(tracing::Level::INFO) {
                line!(info, "a call failed");
            }
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            line!(debug, "a call ended");
        }
    }
}

/// Names the owner of a call.
const OWNER: &str = "x-parlance-owner";
/// Bytes of an owner's hash: enough to tell owners apart in a log.
const HASH_BYTES: usize = 8;

/// The codes with which the service fails, rather than refuses, a call. A deadline is the client's to choose.
const fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss
    )
}

/// The same for the same owner, and not the owner's name, which may be a person's.
fn owner_hash(owner: &HeaderValue) -> String {
    let hash = Sha256::digest(owner.as_bytes());
    let mut text = String::with_capacity(2 * HASH_BYTES);
    for byte in hash.iter().take(HASH_BYTES) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Drop for Call {
    fn drop(&mut self) {
        // That of another call, if there is one.
        cause::take();
        self.finish(Code::Cancelled);
    }
}

/// The second part of `00-<trace id>-<span id>-<flags>`.
fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    let id = traceparent.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// An id and nothing else: what a client may put into our log is short and has no spaces, line ends or addresses.
fn harmless(id: &HeaderValue) -> Option<&str> {
    let id = id.to_str().ok()?;
    let legal =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (id.len() <= 64 && id.bytes().all(legal)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_come_into_the_log() {
        let value = HeaderValue::from_static;
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&value(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            )),
            Some(id)
        );
        assert_eq!(trace_id(&value("00-short-00f067aa0ba902b7-01")), None);
        assert_eq!(harmless(&value("req-1.2:a_B")), Some("req-1.2:a_B"));
        assert_eq!(harmless(&value("a@b.example")), None);
        assert_eq!(harmless(&value("two words")), None);
    }
}
