//! HTTP client with bounded time and bounded bodies.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};

/// Upper limit of the time for a connection, TLS included. At most half of a call, so that a server that cannot be reached
/// is distinguished from one that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are closed before the server closes them: a request on a connection that is just being closed has no
/// answer, and counts as lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum number of idle connections to one host.
const MAX_IDLE: usize = 64;
/// Maximum size of the head of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Number of causes that the text of an error has at most.
const MAX_CAUSES: usize = 4;

type Connector = TimeoutConnector<HttpsConnector<HttpConnector>>;

/// The client. Connections are pooled.
pub(super) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

/// Answer of a server.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body; `None` if it is too large, or did not arrive as a whole.
    pub(super) body: Option<Bytes>,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// The request certainly did not reach the server.
    NotSent(String),
    /// The request may have reached the server.
    Lost(String),
    /// No answer came in time.
    TimedOut,
}

impl HttpClient {
    /// Creates a client; `timeout` limits a whole call.
    pub(super) fn new(timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(connector(CONNECT_TIMEOUT.min(timeout / 2)));
        Self { client, timeout }
    }

    /// Sends a request, and reads an answer with a body of up to `max_body_bytes`.
    pub(super) async fn call(
        &self,
        request: Request<Full<Bytes>>,
        max_body_bytes: usize,
    ) -> Result<Answer, CallError> {
        let end = Instant::now() + self.timeout;
        let response = match timeout_at(end, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(call_error(&error)),
            Err(_) => return Err(CallError::TimedOut),
        };
        let (head, body) = response.into_parts();
        let body = timeout_at(end, Limited::new(body, max_body_bytes).collect()).await;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.ok().and_then(Result::ok).map(Collected::to_bytes),
        })
    }
}

fn connector(timeout: Duration) -> Connector {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let mut connector = TimeoutConnector::new(https);
    connector.set_connect_timeout(Some(timeout));
    connector
}

fn call_error(error: &legacy::Error) -> CallError {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..MAX_CAUSES {
        let Some(found) = cause else { break };
        // Writing to a string does not fail.
        let _ = write!(text, ": {found}");
        cause = found.source();
    }
    if error.is_connect() {
        CallError::NotSent(text)
    } else {
        CallError::Lost(text)
    }
}
