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

use parlance_domain::{EventType, Timestamp};

use crate::fields::{Doc, Id};
use crate::rows::feed::NewFeedRow;

/// A table that is pruned by age, with an index on its time column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AgingTable {
    pub(crate) table: &'static str,
    pub(crate) time: &'static str,
}

/// Builds a feed event, as a write appends it.
pub(crate) fn feed_event(
    owner: &parlance_domain::Owner,
    kind: EventType,
    (conversation, message): (Id, Option<Id>),
    user: &str,
    payload: Option<Doc>,
    now: Timestamp,
) -> NewFeedRow {
    NewFeedRow {
        owner: owner.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        conversation_id: conversation,
        message_id: message,
        user_label: user.to_owned(),
        bytes: payload
            .as_ref()
            .map_or(0, |doc| i32::try_from(doc.0.len()).unwrap_or(i32::MAX)),
        payload,
        time: now.into(),
    }
}
