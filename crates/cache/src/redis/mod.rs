//! The shared tier in Redis.
//!
//! - A few connections, shared by all and called lanes; a key always takes the same one, so that what is asked of it arrives in
//!   the order in which it was asked.
//! - A lane knows which process it is to, since it asks before anything else; what is meant for another one is refused.
//! - Everything that changes a key is a script in `lua/`: a reader's of one value and its lease, a writer's of all that it touches
//!   on one server, in a cluster in one slot.
//! - Nothing is tried twice: whoever asks is told that it failed, and does without.
//!
//! To add a command: a script and the function in `scripts.rs` that writes it down; then a method of [`RedisTier`].

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

pub use breaker::BreakerState;
pub use settings::{BadSettings, Node, RedisSettings, is_clear, is_readable, shown};
pub use tier::RedisTier;
pub use track::InvalidationConnection;
