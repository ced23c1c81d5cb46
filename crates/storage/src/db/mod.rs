//! The public API of this crate, by entity: reads on [`crate::Database`], writes on [`crate::Tx`]. Each write adds its
//! changes to the change set and appends the feed, so that no caller can omit either.

pub mod attachment;
pub mod cache;
pub mod conversation;
pub mod deleted_message;
pub mod delivery;
pub mod delivery_event;
pub mod feed;
pub mod hold;
pub mod idempotency;
pub mod import;
pub mod installation;
pub mod message;
pub mod outcomes;
pub mod ownership;
pub mod search;
pub mod sender;
pub mod stats;
pub(crate) mod tx;
