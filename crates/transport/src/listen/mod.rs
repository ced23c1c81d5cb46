//! Accept loop with connection ages, an exact drain and limits.
//!
//! Invariants:
//! * `TCP_NODELAY` on every accepted socket; without it small replies wait 40 ms for an acknowledgement.
//! * An error of `accept` never ends the loop.
//! * [`serve`] returns when the last connection is closed, not before.
//!
//! The loop belongs to no runtime: it runs where it is awaited and spawns its connections there. One multi-thread runtime
//! calls [`serve`] once; one single-thread runtime per core would [`bind`] once per core with `reuse_port`.

mod accept;
mod age;
mod calls;
mod conn;
mod limit;
mod open;
mod options;
mod resets;
mod service;
mod socket;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

pub use accept::serve;
pub use age::{Age, jittered};
pub use limit::{BeyondLimit, ConnectionLimit};
pub use open::OpenConnections;
pub use options::Options;
pub use service::{ReplyBody, Serve};

pub(crate) use service::BoxError;

/// Number of connections that wait to be accepted; the kernel reduces it to its own maximum.
const BACKLOG: u32 = 1024;

/// Socket that is bound to its address and does not listen yet.
#[derive(Debug)]
pub struct BoundSocket(TcpSocket);

/// Binds an address. With `reuse_port` several sockets may share it, and the kernel distributes connections over them.
pub fn bind(address: SocketAddr, reuse_port: bool) -> std::io::Result<BoundSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Without it a restart waits until the old connections have left TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    Ok(BoundSocket(socket))
}

impl BoundSocket {
    /// Returns the address, with the chosen port if port 0 was asked for.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Begins to listen.
    pub fn listen(self) -> std::io::Result<TcpListener> {
        self.0.listen(BACKLOG)
    }
}
