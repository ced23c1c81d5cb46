//! Our own accept loop: connections with an age, an exact drain, limits that are written down.
//!
//! Invariants:
//! * `TCP_NODELAY` on every accepted socket; without it small replies wait 40 ms for an acknowledgement.
//! * An error of `accept` never ends the loop.
//! * [`serve`] returns when the last connection is closed, not before.
//!
//! The loop belongs to no runtime: it runs where it is awaited and spawns its connections there. One multi-thread runtime
//! calls [`serve`] once; one single-thread runtime per core would [`reserve`] once per core with `reuse_port`.

mod accept;
mod calls;
mod conn;
mod limit;
mod resets;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket};

pub use accept::serve;
pub use conn::{Age, jittered};
pub(crate) use limit::BeyondLimit;
pub use limit::ConnectionLimit;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Waiting connections that the kernel keeps; it cuts this to its own maximum.
const BACKLOG: u32 = 1024;

/// An address that is ours from now on, and where nobody is let in yet.
#[derive(Debug)]
pub struct Reserved(TcpSocket);

/// Takes an address. With `reuse_port` several may share it, and the kernel spreads connections over them.
pub fn reserve(address: SocketAddr, reuse_port: bool) -> std::io::Result<Reserved> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Or a restart waits until the old connections have left TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    Ok(Reserved(socket))
}

impl Reserved {
    /// Which address; where port 0 was wanted, the one that was free.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Lets clients in.
    pub fn listen(self) -> std::io::Result<TcpListener> {
        self.0.listen(BACKLOG)
    }
}

/// What is served on a connection; [`tower::Service`] would want a clone and a readiness check per request.
pub trait Serve<B>:
    hyper::service::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<T, B> Serve<B> for T where
    T: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = std::convert::Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// A body that can be sent.
pub trait ReplyBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {
    /// Whether it is known that the whole body stays in memory until the client takes it.
    fn is_whole(&self) -> bool;
}

impl ReplyBody for axum::body::Body {
    fn is_whole(&self) -> bool {
        true
    }
}

/// How connections of one port are treated.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) protocol: auto::Builder<TokioExecutor>,
    pub(crate) age: Option<Age>,
    pub(crate) open: OpenConnections,
    /// Streams that are reset as soon as they are opened, on one connection; `None` without HTTP/2.
    pub(crate) resets_per_second: Option<u32>,
    pub(crate) limit: ConnectionLimit,
    /// Whether health is served here.
    pub(crate) health: bool,
    /// What is sent on a connection that is not served.
    pub(crate) refusal: Vec<u8>,
}

/// How many connections are open. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct OpenConnections(Arc<AtomicI64>);

impl OpenConnections {
    /// The number now.
    pub fn count(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self) -> OpenGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenGuard(self.clone())
    }
}

/// Counts one connection while it lives.
#[derive(Debug)]
pub(crate) struct OpenGuard(OpenConnections);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client that begins a request has this long to finish its head. On HTTP/1.1 it is the limit of idleness as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// On the port of health and metrics, where every head is short.
const SHORT_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const MAX_HEADERS: usize = 100;
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Of HTTP/1.1: a head must fit into it.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// A whole usual request and a quarter of the largest fit in, so that a sender on a long line need not wait for updates, and
/// a client cannot make us hold more than this per stream that its handler does not read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Twice that of a stream: one upload whose handler is slow cannot stop the others of its connection.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// The smallest there is: larger frames save little and let one stream hold up the others.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
/// What may wait for a client that does not read, per stream. With all streams of a connection stalled: 32 MiB.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Streams that a connection may open and reset at once in a second, for each that it may have open. A client that gives up all
/// its calls at once, again and again while this process is stopped for a second, stays below; so do proxies.
const RESETS_PER_STREAM: u32 = 16;
const MIN_RESETS_PER_SECOND: u32 = 1_000;
/// RUSTSEC-2024-0003: resets that the client's errors made us send.
const MAX_LOCAL_ERROR_RESETS: usize = 1024;

impl Options {
    /// For gRPC over HTTP/2 with prior knowledge, and gRPC-Web over HTTP/1.1, on one socket.
    pub fn grpc(max_concurrent_streams: u32, age: Age, open: OpenConnections) -> Self {
        let resets_per_second = max_concurrent_streams
            .saturating_mul(RESETS_PER_STREAM)
            .max(MIN_RESETS_PER_SECOND);
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        protocol
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER_BYTES);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_concurrent_streams(max_concurrent_streams)
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .max_frame_size(MAX_FRAME_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            // Above what the socket allows, which counts by time: h2's own limit counts what one poll finds.
            .max_pending_accept_reset_streams(resets_per_second as usize)
            .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESETS);
        Self {
            protocol,
            age: Some(age),
            open,
            resets_per_second: Some(resets_per_second),
            limit: ConnectionLimit::default(),
            health: false,
            refusal: resets::refusal(),
        }
    }

    /// For HTTP/1.1 with short requests.
    pub fn http(open: OpenConnections) -> Self {
        let mut protocol = auto::Builder::new(TokioExecutor::new()).http1_only();
        protocol
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(SHORT_HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER_BYTES);
        Self {
            protocol,
            age: None,
            open,
            resets_per_second: None,
            limit: ConnectionLimit::default(),
            health: true,
            refusal: TOO_MANY_CONNECTIONS.to_vec(),
        }
    }

    /// With a limit that other ports may share.
    #[must_use]
    pub fn limited(mut self, limit: ConnectionLimit) -> Self {
        self.limit = limit;
        self
    }
}
