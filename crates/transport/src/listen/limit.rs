//! Limit of open connections, which protects file descriptors and memory.

use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::open::{OpenConnections, OpenGuard};

/// Number of connections beyond the limit on which health and metrics are served.
const RESERVED_FOR_HEALTH: i64 = 32;
/// Maximum lifetime of such a connection, idle or not: clients that stay must not block probes.
pub(super) const RESERVED_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of connections that are being refused at a time. Further ones are closed without a response.
const REFUSALS: i64 = 32;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Connection limit of all ports together; clones share one limit.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    max: i64,
    open: OpenConnections,
    reserved: OpenConnections,
    refused: OpenConnections,
}

/// Decision about a new connection.
pub(super) enum Admission {
    Served(OpenGuard),
    /// Served for health and metrics only.
    Reserved(OpenGuard),
    Refused(OpenGuard),
    Dropped,
}

impl ConnectionLimit {
    /// File descriptors needed beyond those of the served connections.
    pub const RESERVE: u64 = RESERVED_FOR_HEALTH.cast_unsigned() + REFUSALS.cast_unsigned();

    /// Creates a limit of this many connections.
    pub fn new(max: u32) -> Self {
        Self {
            max: max.into(),
            open: OpenConnections::default(),
            reserved: OpenConnections::default(),
            refused: OpenConnections::default(),
        }
    }

    /// Decides by the number of open connections; `health` says whether the port serves health.
    pub(super) fn admit(&self, health: bool) -> Admission {
        if let Some(guard) = enter(&self.open, self.max) {
            return Admission::Served(guard);
        }
        let reserved = health.then(|| enter(&self.reserved, RESERVED_FOR_HEALTH));
        if let Some(guard) = reserved.flatten() {
            return Admission::Reserved(guard);
        }
        enter(&self.refused, REFUSALS).map_or(Admission::Dropped, Admission::Refused)
    }
}

impl Default for ConnectionLimit {
    fn default() -> Self {
        Self::new(u32::MAX)
    }
}

fn enter(open: &OpenConnections, max: i64) -> Option<OpenGuard> {
    let guard = open.enter();
    (open.count() <= max).then_some(guard)
}

/// Sends the refusal and closes the connection. Reads what the client sends, since closing a socket with unread bytes discards
/// what was written to it.
pub(super) async fn refuse(mut stream: TcpStream, refusal: &[u8]) {
    let refusing = async {
        stream.write_all(refusal).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // The client may be gone, or may not close the connection; neither matters.
    let _ = timeout(REFUSAL_TIMEOUT, refusing).await;
}

/// Extension of every request on a connection beyond the limit.
#[derive(Debug, Clone, Copy)]
pub struct BeyondLimit;

/// Service that marks the requests of a connection beyond the limit.
#[derive(Debug, Clone)]
pub(super) struct MarkBeyondLimit<S> {
    pub(super) service: S,
    pub(super) beyond: bool,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for MarkBeyondLimit<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        if self.beyond {
            request.extensions_mut().insert(BeyondLimit);
        }
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_only_health_is_served() {
        let limit = ConnectionLimit::new(1);
        let first = limit.admit(false);
        assert!(matches!(first, Admission::Served(_)));
        let reserved: Vec<_> = (0..RESERVED_FOR_HEALTH)
            .map(|_| limit.admit(true))
            .collect();
        assert!(reserved.iter().all(|a| matches!(a, Admission::Reserved(_))));
        let refused: Vec<_> = [true, false].map(|health| limit.admit(health)).into();
        assert!(refused.iter().all(|a| matches!(a, Admission::Refused(_))));
        drop(first);
        assert!(matches!(limit.admit(false), Admission::Served(_)));
    }
}
