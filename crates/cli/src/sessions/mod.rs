//! File format of conversations: chat sessions, and the output of `parlance export`. Both use the same schema.
//!
//! A session has `session_id` and `messages`, each with `role` and `content`; `context` is the metadata of the
//! conversation. All other fields are optional, and unknown fields are ignored.

mod message;
mod object;
mod read;
mod schema;
mod source;
mod text;
mod timestamp;
mod write;

pub(crate) use source::{Format, Position, SessionRecord, read_all};
pub(crate) use write::{Omitted, name, session};

use parlance_proto::v1;

/// A conversation with its messages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transcript {
    pub(crate) conversation: v1::Conversation,
    pub(crate) messages: Vec<v1::Message>,
}
