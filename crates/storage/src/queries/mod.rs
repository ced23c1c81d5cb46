//! Every statement, by entity, reads first. Compiled once per database: see `backend`. The types of the connection and
//! the macros for what differs are those of the database's `dialect`.
//!
//! A statement about an owner's data has the owner in its WHERE. Those without an owner concern the whole installation
//! (the end of the feed, pruning, the sender of an address) and say so.

pub(crate) mod attachment;
pub(crate) mod cache;
pub(crate) mod columns;
pub(crate) mod conversation;
pub(crate) mod conversation_lists;
pub(crate) mod deleted_message;
pub(crate) mod delivery;
pub(crate) mod feed;
pub(crate) mod hold;
pub(crate) mod idempotency;
pub(crate) mod import;
pub(crate) mod installation;
pub(crate) mod message;
pub(crate) mod message_event;
pub(crate) mod outcomes;
pub(crate) mod ownership;
pub(crate) mod search;
pub(crate) mod sender;
pub(crate) mod stats;

use super::dialect::{Conn, Db};
