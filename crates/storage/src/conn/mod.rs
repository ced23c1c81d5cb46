//! Connections: two kinds of pool behind one type, and the macros that run a query on either.

#[macro_use]
mod dispatch;
pub(crate) mod commits;
mod connect_errors;
mod connection;
pub(crate) mod liveness;
pub(crate) mod open;
mod pool;
mod primary;

pub(crate) use self::connection::{Conn, PooledConnection};
pub use self::pool::Database;
