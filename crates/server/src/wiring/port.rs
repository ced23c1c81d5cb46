//! Ports of the service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use parlance_transport::listen;
use tokio::net::TcpListener;

use super::start_error::StartError;

/// Replaces an unspecified address by loopback, so that programs on this machine can connect to it.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address.ip(),
    };
    SocketAddr::new(ip, address.port())
}

/// Bound port, with the name of its setting for errors.
pub(super) struct Port {
    setting: &'static str,
    pub(super) address: SocketAddr,
    socket: listen::BoundSocket,
}

impl Port {
    pub(super) fn bind(setting: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let bound = listen::bind(address, false).and_then(|socket| Ok((socket.address()?, socket)));
        let failed = |source| StartError::Listen {
            setting,
            address,
            source,
        };
        let (address, socket) = bound.map_err(failed)?;
        Ok(Self {
            setting,
            address,
            socket,
        })
    }

    pub(super) fn listen(self) -> Result<TcpListener, StartError> {
        let Self {
            setting,
            address,
            socket,
        } = self;
        socket.listen().map_err(|source| StartError::Listen {
            setting,
            address,
            source,
        })
    }
}
