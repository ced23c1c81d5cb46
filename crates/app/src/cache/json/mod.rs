//! Messages and conversations as Redis shows them: plain JSON, every field there, `null` where it is empty.
//!
//! What is written is all that there is to the value, so that a hit needs no statement. Every field is taken apart by name in
//! both directions: a new one breaks the build here. A text that lacks a field is none of ours (an older version wrote it, and
//! what it did not know cannot be guessed); fields that we do not know are passed over, since a newer version writes them.

mod answer;
mod conversation;
mod message;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
mod time;

use bytes::Bytes;
use parlance_domain::{Conversation, Message};
use serde::Serialize;

pub(crate) use answer::{Kept, Told, answer, parse_answer, told};
use conversation::ConversationText;
use message::MessageText;

/// What the fields' names and the short values take, roughly.
const REST: usize = 1024;

/// The text of a message.
pub(crate) fn message(message: &Message) -> Bytes {
    element(message, false)
}

/// The text of a message in a list, and whether it is the first message of its conversation.
pub(crate) fn element(message: &Message, is_first: bool) -> Bytes {
    let Message {
        subject,
        body,
        html_body,
        metadata,
        ..
    } = message;
    let texts = subject.len() + body.len() + html_body.len() + metadata.as_str().len();
    write(&MessageText::new(message, is_first), texts)
}

/// What the text of a message says.
pub(crate) fn parse_message(text: &[u8]) -> Option<Message> {
    parse_element(text).map(|(message, _)| message)
}

/// What the text of a message in a list says.
pub(crate) fn parse_element(text: &[u8]) -> Option<(Message, bool)> {
    let text: MessageText<'_> = serde_json::from_slice(text).ok()?;
    text.into_message()
}

/// The text of a conversation.
pub(crate) fn conversation(conversation: &Conversation) -> Bytes {
    let texts = conversation.title.len() + conversation.metadata.as_str().len();
    write(&ConversationText::from(conversation), texts)
}

/// What the text of a conversation says.
pub(crate) fn parse_conversation(text: &[u8]) -> Option<Conversation> {
    let text: ConversationText<'_> = serde_json::from_slice(text).ok()?;
    text.into_conversation()
}

fn write(value: &impl Serialize, texts: usize) -> Bytes {
    let mut text = Vec::with_capacity(texts + texts / 8 + REST);
    // Names, numbers and texts: there is nothing that JSON cannot say. What were cut off would be a miss.
    let _ = serde_json::to_writer(&mut text, value);
    text.into()
}
