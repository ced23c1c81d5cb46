//! Ports for servers that cannot choose a port themselves and must keep it over a restart, and ports without a server.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use parking_lot::Mutex;
use tokio::net::TcpSocket;

/// Below the system's range of ephemeral ports: no outgoing connection takes the port of a killed server meanwhile, and
/// a client that keeps reconnecting cannot end up connected to itself.
const RANGE: Range<u16> = 20_000..30_000;

/// Returns a port of 127.0.0.1 that is free now and is returned only once in this process. It is not reserved: another
/// process may take it before the server starts, so the caller must be ready to retry with another port.
pub fn free_port() -> u16 {
    static RETURNED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut returned = RETURNED.lock();
    let width = RANGE.end - RANGE.start;
    let first = u16::try_from(random() % u64::from(width)).expect("less than the width");
    let port = (0..width)
        .map(|step| RANGE.start + (first + step) % width)
        .filter(|port| !returned.contains(port))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or_else(|| panic!("no free port in {RANGE:?}"));
    returned.insert(port);
    port
}

/// A port of 127.0.0.1 that refuses connections and cannot be bound, until this value is dropped.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ClosedPort {
    /// Reserves a port.
    pub fn reserve() -> Self {
        let bound = TcpSocket::new_v4().expect("a socket");
        bound
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("the system has a free port");
        Self {
            // A socket that is bound but not listening refuses connections.
            address: bound.local_addr().expect("a socket that is bound"),
            _bound: bound,
        }
    }

    /// Returns `127.0.0.1:port`.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Returns a number that differs for every call and process. The randomness of the hash maps is sufficient for tests.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn no_port_is_returned_twice() {
        let returned: BTreeSet<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(returned.len(), 100);
    }

    #[test]
    fn a_closed_port_refuses_connections_and_binding() {
        let closed = ClosedPort::reserve();
        for _ in 0..3 {
            let refused = TcpStream::connect(closed.address()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let taken = TcpListener::bind(closed.address()).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        }
    }
}
