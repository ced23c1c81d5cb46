//! Record of one call in metrics, trace and log: opened when the call arrives, closed exactly once, however it ends.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use tonic::Code;
use tracing::Span;

use super::budget::Budget;
use super::methods::{Method, Methods};
use super::metrics::{self, RpcMetrics};
use super::{cause, faults, trace};
use crate::shutdown::Shutdown;

/// State that all calls share.
#[derive(Debug)]
pub struct RpcState {
    pub(super) methods: Methods,
    pub(super) metrics: RpcMetrics,
    pub(super) shutdown: Shutdown,
    pub(super) budget: Budget,
    /// Whether traces are exported.
    pub(super) traced: bool,
}

impl RpcState {
    /// Creates the state of one port.
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

/// Record of one call. Dropped without [`finish`](Self::finish), it records that the client cancelled the call.
#[derive(Debug)]
pub(super) struct CallRecord {
    pub(super) shared: Arc<RpcState>,
    method: usize,
    started: Instant,
    pub(super) span: Span,
    owner: Option<HeaderValue>,
    /// Ids that the client sent for this call; boxed, since most clients send none.
    ids: Option<Box<Ids>>,
    finished: bool,
}

#[derive(Debug)]
struct Ids {
    trace: Option<HeaderValue>,
    request: Option<HeaderValue>,
}

impl CallRecord {
    pub(super) fn new(shared: Arc<RpcState>, method: usize, headers: &HeaderMap) -> Self {
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

    /// Records the code of the call. Only the first call of this function counts.
    pub(super) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let code = self.code_after_cut(code);
        self.shared.metrics.leave();
        let took = self.started.elapsed();
        self.method().metrics.record(code, took);
        trace::record_end(&self.span, code);
        self.log(code, took);
    }

    /// Corrects the code of a call that the shutdown has cut: the broken connection looks as if the client had cancelled.
    fn code_after_cut(&self, code: Code) -> Code {
        if matches!(code, Code::Cancelled | Code::Aborted) && self.shared.shutdown.is_cut() {
            return faults::going_away().code();
        }
        code
    }

    /// Writes the log record of the call: at `info` for a failure of the service, at `debug` otherwise.
    fn log(&self, code: Code, took: Duration) {
        macro_rules! record {
            ($level:ident, $text:literal) => {{
                let ids = self.ids.as_deref();
                let trace = ids.and_then(|ids| ids.trace.as_ref()).and_then(trace_id);
                let request = ids
                    .and_then(|ids| ids.request.as_ref())
                    .and_then(loggable_id);
                self.span.in_scope(|| {
                    tracing::$level!(
                        rpc = self.method().path.as_str(),
                        code = metrics::name(code),
                        ms = millis(took),
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
                record!(info, "a call failed");
            }
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            record!(debug, "a call ended");
        }
    }
}

/// Header with the owner of a call.
const OWNER: &str = "x-parlance-owner";
/// Bytes of an owner's hash: enough to distinguish owners in a log.
const HASH_BYTES: usize = 8;

/// Whether the code is a failure of the service rather than a refusal. `DEADLINE_EXCEEDED` is not: the client chooses the
/// deadline.
const fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss
    )
}

/// Hash of the owner for the log. The name itself may be that of a person and is not logged.
fn owner_hash(owner: &HeaderValue) -> String {
    let hash = Sha256::digest(owner.as_bytes());
    let mut text = String::with_capacity(2 * HASH_BYTES);
    for byte in hash.iter().take(HASH_BYTES) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Milliseconds with three decimals.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        // Discards the cause that another call may have left on this thread.
        cause::take();
        self.finish(Code::Cancelled);
    }
}

/// Returns the trace id of `00-<trace id>-<span id>-<flags>`.
fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    let id = traceparent.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Returns the id if it may be logged: it is short and has no spaces, line breaks or addresses.
fn loggable_id(id: &HeaderValue) -> Option<&str> {
    let id = id.to_str().ok()?;
    let legal =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (id.len() <= 64 && id.bytes().all(legal)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_logged() {
        let value = HeaderValue::from_static;
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&value(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            )),
            Some(id)
        );
        assert_eq!(trace_id(&value("00-short-00f067aa0ba902b7-01")), None);
        assert_eq!(loggable_id(&value("req-1.2:a_B")), Some("req-1.2:a_B"));
        assert_eq!(loggable_id(&value("a@b.example")), None);
        assert_eq!(loggable_id(&value("two words")), None);
    }
}
