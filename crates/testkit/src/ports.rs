//! Ports for servers that cannot choose one themselves and must keep it over a restart, and for servers that are not there.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

/// Below the range that the system takes the ports of outgoing connections from: while a killed server is away nobody
/// else gets its port, and a client that keeps trying to reconnect cannot end up connected to itself.
const RANGE: Range<u16> = 20_000..30_000;

/// A port of 127.0.0.1 that nobody listens on at the moment, and that nobody else in this process is told: between this
/// and the start of its server it is free for all. Another process may still take it: who starts a server on it must be
/// ready to try again.
pub fn free_port() -> u16 {
    static TOLD: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let width = RANGE.end - RANGE.start;
    let first = u16::try_from(random() % u64::from(width)).expect("less than the width");
    let port = (0..width)
        .map(|step| RANGE.start + (first + step) % width)
        .filter(|port| !told.contains(port))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or_else(|| panic!("every port of {RANGE:?} is taken"));
    told.insert(port);
    port
}

/// A port of 127.0.0.1 that refuses whoever connects, and that nobody can take, until this is dropped.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ClosedPort {
    /// There is nobody.
    pub fn reserve() -> Self {
        let bound = TcpSocket::new_v4().expect("a socket");
        bound
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("the system has a port left");
        Self {
            // Bound, and never listening: that is what refuses.
            address: bound.local_addr().expect("a socket that is bound"),
            _bound: bound,
        }
    }

    /// `127.0.0.1:port`.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Different for every call and process; tests need no better randomness than the hash maps' own.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn nobody_is_told_a_port_twice() {
        let told: BTreeSet<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(told.len(), 100);
    }

    #[test]
    fn nobody_answers_and_nobody_takes_its_place() {
        let nobody = ClosedPort::reserve();
        for _ in 0..3 {
            let refused = TcpStream::connect(nobody.address()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let taken = TcpListener::bind(nobody.address()).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        }
    }
}
