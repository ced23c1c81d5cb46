//! Ports for servers that cannot choose one themselves and must keep it over a restart.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range that the system takes the ports of outgoing connections from: while a killed server is away nobody
/// else gets its port, and a client that keeps trying to reconnect cannot end up connected to itself.
const RANGE: Range<u16> = 20_000..30_000;

/// A port of 127.0.0.1 that nobody listens on at the moment. Another process may still take it first: who starts a
/// server on it must be ready to try again.
pub fn free_port() -> u16 {
    let width = RANGE.end - RANGE.start;
    let first = u16::try_from(random() % u64::from(width)).expect("less than the width");
    (0..width)
        .map(|step| RANGE.start + (first + step) % width)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or_else(|| panic!("every port of {RANGE:?} is taken"))
}

/// Different for every call and process; tests need no better randomness than the hash maps' own.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
