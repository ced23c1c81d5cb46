//! Conversations as files hold them: the sessions of old, and what `parlance export` writes. One form is read and written.
//!
//! A session has `session_id` and `messages`, each of these `role` and `content`; `context` is the conversation's metadata. All
//! else may be left out, and what is not known is not looked at.

mod object;
mod read;
mod schema;
mod source;
mod timestamp;
mod write;

pub(crate) use source::{Format, Found, Place, read_all};
pub(crate) use write::{name, session};

use parlance_proto::v1;

/// A conversation with its messages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Old {
    pub(crate) conversation: v1::Conversation,
    pub(crate) messages: Vec<v1::Message>,
}
