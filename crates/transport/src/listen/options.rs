//! Connection options: protocols, time-outs and limits.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;

use super::age::Age;
use super::limit::ConnectionLimit;
use super::open::OpenConnections;
use super::resets;

/// Connection options of one port.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) protocol: auto::Builder<TokioExecutor>,
    pub(super) age: Option<Age>,
    pub(super) open: OpenConnections,
    /// Maximum number of streams per second that one connection may open and reset at once; `None` without HTTP/2.
    pub(super) resets_per_second: Option<u32>,
    pub(super) limit: ConnectionLimit,
    /// Whether the port serves health.
    pub(super) health: bool,
    /// Bytes that are sent on a refused connection.
    pub(super) refusal: Vec<u8>,
}

/// Maximum time from the beginning to the end of a request head. On HTTP/1.1 it is the idle timeout as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Head timeout of the HTTP port, where every head is short.
const SHORT_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const MAX_HEADERS: usize = 100;
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Buffer of HTTP/1.1; a request head must fit into it.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Contains a usual request as a whole and a quarter of the largest one, so that a client with a high latency need not wait for
/// window updates. It also bounds the memory per stream that its handler does not read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Twice that of a stream: one upload with a slow handler cannot stop the other streams of its connection.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// The minimum of HTTP/2: larger frames save little and let one stream delay the others.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
/// Maximum of unsent bytes per stream for a client that does not read: 32 MiB if all streams of a connection are stalled.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Streams per second that a connection may open and reset at once, for each stream that it may have open. A client or proxy that
/// cancels all its calls at once, repeatedly while this process is stopped for a second, stays below.
const RESETS_PER_STREAM: u32 = 16;
const MIN_RESETS_PER_SECOND: u32 = 1_000;
/// RUSTSEC-2024-0003: maximum number of resets that the server sends because of errors of the client.
const MAX_LOCAL_ERROR_RESETS: usize = 1024;

impl Options {
    /// Options for gRPC over HTTP/2 with prior knowledge, and gRPC-Web over HTTP/1.1, on one socket.
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
            // Higher than the limit of `resets`, which counts per second: the limit of h2 counts per poll.
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

    /// Options for HTTP/1.1 with short requests.
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

    /// Sets a connection limit, which other ports may share.
    #[must_use]
    pub fn limited(mut self, limit: ConnectionLimit) -> Self {
        self.limit = limit;
        self
    }
}
