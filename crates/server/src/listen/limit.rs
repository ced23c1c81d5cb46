//! How many connections may be open, so that file descriptors and memory last.

use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{OpenConnections, OpenGuard};

/// Connections beyond the limit on which health and metrics are served.
const RESERVED_FOR_HEALTH: i64 = 32;
/// How long such a connection may take, idle or not: idle ones must not keep probes out.
pub(super) const RESERVED_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that are being refused at a time. Further ones are closed without a reason.
const REFUSALS: i64 = 32;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The limit of all ports together; clones are one limit.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    most: i64,
    open: OpenConnections,
    reserved: OpenConnections,
    refused: OpenConnections,
}

/// What becomes of a new connection.
pub(super) enum Admission {
    Served(OpenGuard),
    /// For health and metrics only.
    Reserved(OpenGuard),
    Refused(OpenGuard),
    Dropped,
}

impl ConnectionLimit {
    /// File descriptors beyond those of connections that are served.
    pub const RESERVE: u64 = RESERVED_FOR_HEALTH.cast_unsigned() + REFUSALS.cast_unsigned();

    /// So many connections.
    pub fn new(most: u32) -> Self {
        Self {
            most: most.into(),
            open: OpenConnections::default(),
            reserved: OpenConnections::default(),
            refused: OpenConnections::default(),
        }
    }

    /// Decides by what is open now; `health` where health is served.
    pub(super) fn admit(&self, health: bool) -> Admission {
        if let Some(guard) = enter(&self.open, self.most) {
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

fn enter(open: &OpenConnections, most: i64) -> Option<OpenGuard> {
    let guard = open.enter();
    (open.count() <= most).then_some(guard)
}

/// Says why and closes. What the client sends is read: closing a socket with unread bytes discards what was written to it.
pub(super) async fn refuse(mut stream: TcpStream, refusal: &[u8]) {
    let refusing = async {
        stream.write_all(refusal).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // A client that is gone, or does not go, needs no answer.
    let _ = timeout(REFUSAL_TIMEOUT, refusing).await;
}

/// Extension of every request that came on a connection beyond the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BeyondLimit;

/// Marks the requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Marked<S> {
    pub(super) service: S,
    pub(super) beyond: bool,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Marked<S> {
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
