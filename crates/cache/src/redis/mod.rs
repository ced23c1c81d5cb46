//! The shared tier in Redis.
//!
//! - Each node has a few shared connections. A key always uses the same one, so its commands arrive in the order in which they were
//!   sent.
//! - A connection asks for the identity of its process before anything else. Commands under the epoch of another process are
//!   refused.
//! - Every change of a key is a script in `lua/`: for a reader, of one value and its lease; for a writer, of all its keys on one
//!   server, or in one slot of a cluster.
//! - Nothing is retried: the caller gets the error and does without Redis.
//!
//! To add a command: a script, the function in `scripts.rs` that builds its call, and a method of [`RedisTier`].

mod backoff;
mod breaker;
mod cluster;
mod fault;
mod info;
mod node;
mod scripts;
mod settings;
mod shared_connection;
mod slot;
mod tier;
mod track;

pub use settings::{BadSettings, Node, RedisSettings, is_clear, is_readable, shown};
pub use tier::RedisTier;
pub use track::InvalidationConnection;
