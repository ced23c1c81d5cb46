//! JSON of messages and conversations in Redis: every field is present, `null` if it is empty.
//!
//! The text holds the complete value, so that a hit needs no statement. Every field is named in both directions, so
//! that a new one breaks the build here. A text that lacks a field is rejected: an older version wrote it, and the
//! missing value cannot be guessed. Unknown fields are ignored, since a newer version may write them.

mod answer;
mod conversation;
mod message;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use parlance_domain::{Conversation, Message};
use serde::Serialize;

pub(crate) use answer::{CacheableResponse, CachedAnswer, answer, answer_only, parse_answer};
use conversation::ConversationText;
use message::MessageText;

/// Approximate size of field names and short values.
const REST: usize = 1024;

/// Serializes a message.
pub(crate) fn message(message: &Message) -> Bytes {
    element(message, false)
}

/// Serializes a message of a list, and whether it is the first message of its conversation.
pub(crate) fn element(message: &Message, is_first: bool) -> Bytes {
    write(&MessageText::new(message, is_first), message.text_bytes())
}

/// Parses a message.
pub(crate) fn parse_message(text: &[u8]) -> Option<Message> {
    parse_element(text).map(|(message, _)| message)
}

/// Parses a message of a list.
pub(crate) fn parse_element(text: &[u8]) -> Option<(Message, bool)> {
    let text: MessageText<'_> = serde_json::from_slice(text).ok()?;
    text.into_message()
}

/// Serializes a conversation.
pub(crate) fn conversation(conversation: &Conversation) -> Bytes {
    let texts = conversation.title.len() + conversation.metadata.as_str().len();
    write(&ConversationText::from(conversation), texts)
}

/// Parses a conversation.
pub(crate) fn parse_conversation(text: &[u8]) -> Option<Conversation> {
    let text: ConversationText<'_> = serde_json::from_slice(text).ok()?;
    text.into_conversation()
}

fn write(value: &impl Serialize, texts: usize) -> Bytes {
    let mut text = Vec::with_capacity(texts + texts / 8 + REST);
    // Cannot fail: the values are names, numbers and texts. A truncated text would be a miss.
    let _ = serde_json::to_writer(&mut text, value);
    text.into()
}
