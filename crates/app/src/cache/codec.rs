//! Codecs of messages, conversations and a conversation's newest messages: JSON in Redis; in the in-process cache the
//! encoded response of the transport, preceded by the fields that the app needs (see [`Item`] and
//! [`conversation_of`]).

mod answer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use parlance_cache::{Codec, EncodedList, EncodedValue, NewestEntry, Raw, ValueFormat};
use parlance_domain::{Conversation, ConversationId, Message, MessageId};
use parlance_storage::StorageError;

use super::json;
use crate::paging::Page;
use crate::query_results::{SearchResult, Stats};

pub(crate) use answer::{AnswerCodec, NoAnswer};

/// Number of messages of a conversation that the cache holds.
pub(crate) const NEWEST: usize = 50;

/// The transport's encoders. Values of the in-process cache are stored encoded, so that a hit need not encode them
/// again.
#[derive(Debug, Clone, Copy)]
pub struct Encoders {
    /// A message.
    pub message: fn(&Message) -> Bytes,
    /// A conversation.
    pub conversation: fn(&Conversation) -> Bytes,
    /// A page of conversations.
    pub list: fn(&Page<Conversation>) -> Bytes,
    /// Statistics.
    pub stats: fn(&Stats) -> Bytes,
    /// A page of search results.
    pub search: fn(&Page<SearchResult>) -> Bytes,
}

impl Default for Encoders {
    /// Without a transport: the JSON of Redis.
    fn default() -> Self {
        Self {
            message: json::message,
            conversation: json::conversation,
            list: json::answer_only,
            stats: json::answer_only,
            search: json::answer_only,
        }
    }
}

/// Codec of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageCodec {
    /// The expected id: a value with another id under its key is rejected.
    pub(crate) id: MessageId,
    pub(crate) encoders: Encoders,
}

impl Codec for MessageCodec {
    type Value = Message;
    type Error = Arc<StorageError>;

    fn owner(self, message: &Message) -> Option<&str> {
        Some(message.owner.as_str())
    }

    fn raw(self, message: &Message) -> Raw {
        Raw::One(json::message(message))
    }

    fn parse(self, raw: &Raw) -> Option<Message> {
        json::parse_message(one(raw)?).filter(|message| message.id == self.id)
    }

    fn encode(self, message: &Message) -> EncodedValue {
        EncodedValue::One((self.encoders.message)(message))
    }

    fn is_away(error: &Arc<StorageError>) -> bool {
        is_away(error)
    }
}

/// Codec of a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversationCodec {
    /// The expected id: a value with another id under its key is rejected.
    pub(crate) id: ConversationId,
    pub(crate) encoders: Encoders,
}

impl Codec for ConversationCodec {
    type Value = Conversation;
    type Error = Arc<StorageError>;

    fn owner(self, conversation: &Conversation) -> Option<&str> {
        Some(conversation.owner.as_str())
    }

    fn raw(self, conversation: &Conversation) -> Raw {
        Raw::One(json::conversation(conversation))
    }

    fn parse(self, raw: &Raw) -> Option<Conversation> {
        json::parse_conversation(one(raw)?).filter(|conversation| conversation.id == self.id)
    }

    fn encode(self, conversation: &Conversation) -> EncodedValue {
        let encoded = (self.encoders.conversation)(conversation);
        let mut held = BytesMut::with_capacity(COUNT_BYTES + encoded.len());
        held.put_i64(conversation.message_count);
        held.put(encoded);
        EncodedValue::One(held.freeze())
    }

    fn is_away(error: &Arc<StorageError>) -> bool {
        is_away(error)
    }
}

const COUNT_BYTES: usize = 8;

/// Splits a conversation of the in-process cache into its message count and the encoded response.
pub(crate) fn conversation_of(mut held: Bytes) -> (i64, Bytes) {
    let message_count = held.try_get_i64().unwrap_or_default();
    (message_count, held)
}

/// The newest messages of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Newest {
    /// Newest first, up to [`NEWEST`].
    pub(crate) messages: Vec<Message>,
    /// Whether the conversation has no other messages.
    pub(crate) is_all: bool,
}

impl Newest {
    /// From a read of up to [`NEWEST`] + 1 messages.
    pub(crate) fn of(mut messages: Vec<Message>) -> Self {
        let is_all = messages.len() <= NEWEST;
        messages.truncate(NEWEST);
        Self { messages, is_all }
    }

    /// Each message, and whether it is the conversation's first; below the first one there are no others. This stays
    /// true for the lifetime of the list, because the deletion of a message invalidates the list.
    fn elements(&self) -> impl Iterator<Item = (&Message, bool)> {
        let last = self.messages.len().wrapping_sub(1);
        let is_first = move |index| self.is_all && index == last;
        let messages = self.messages.iter().enumerate();
        messages.map(move |(index, message)| (message, is_first(index)))
    }
}

/// Codec of a conversation's newest messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessagesCodec {
    /// The expected conversation: messages of another one under its key are rejected.
    pub(crate) id: ConversationId,
    pub(crate) encoders: Encoders,
}

impl Codec for MessagesCodec {
    type Value = Newest;
    type Error = Arc<StorageError>;

    fn owner(self, newest: &Newest) -> Option<&str> {
        newest.messages.first().map(|m| m.owner.as_str())
    }

    fn raw(self, newest: &Newest) -> Raw {
        let elements = newest.elements();
        Raw::List(
            elements
                .map(|(m, is_first)| json::element(m, is_first))
                .collect(),
        )
    }

    fn parse(self, raw: &Raw) -> Option<Newest> {
        let Raw::List(elements) = raw else {
            return None;
        };
        let elements: Option<Vec<(Message, bool)>> = elements
            .iter()
            .map(|text| json::parse_element(text))
            .collect();
        let elements = elements.filter(|elements| is_a_list(self.id, elements))?;
        let is_all = elements.last()?.1;
        let messages = elements.into_iter().map(|(message, _)| message).collect();
        Some(Newest { messages, is_all })
    }

    fn encode(self, newest: &Newest) -> EncodedValue {
        let item = |(message, is_first)| Item::held(self.encoders, message, is_first);
        EncodedValue::List(Arc::new(EncodedList {
            newest: newest.messages.first().map_or(0, |m| m.sequence),
            items: newest.elements().map(item).collect(),
        }))
    }

    fn is_away(error: &Arc<StorageError>) -> bool {
        is_away(error)
    }
}

/// Whether these are messages of one conversation and owner in descending order. The conversation's first message may
/// only be the last element, and a list shorter than [`NEWEST`] must contain it.
fn is_a_list(id: ConversationId, elements: &[(Message, bool)]) -> bool {
    let Some(((newest, _), (_, ends))) = elements.first().zip(elements.last()) else {
        return false;
    };
    let belongs = |m: &Message| m.conversation_id == id && m.owner == newest.owner;
    let before_the_end = elements.len() - 1;
    elements.len() <= NEWEST
        && (*ends || elements.len() == NEWEST)
        && elements.iter().all(|(message, _)| belongs(message))
        && elements.is_sorted_by(|(a, _), (b, _)| a.sequence > b.sequence)
        && elements
            .iter()
            .take(before_the_end)
            .all(|(_, is_first)| !is_first)
}

/// A message in a list of the in-process cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) sequence: i64,
    /// Its share of a page's size.
    pub(crate) size: usize,
    /// Whether it is the first message of its conversation.
    pub(crate) is_first: bool,
    /// The encoded response.
    pub(crate) encoded: Bytes,
}

impl Item {
    const HEAD: usize = 8 + 8 + 1;

    fn held(encoders: Encoders, message: &Message, is_first: bool) -> Bytes {
        let encoded = (encoders.message)(message);
        let mut held = BytesMut::with_capacity(Self::HEAD + encoded.len());
        held.put_i64(message.sequence);
        held.put_u64(u64::try_from(page_size(message)).unwrap_or(u64::MAX));
        held.put_u8(u8::from(is_first));
        held.put(encoded);
        held.freeze()
    }

    /// Parses the result of `held`; `None` for anything else.
    pub(crate) fn of(mut held: Bytes) -> Option<Self> {
        Some(Self {
            sequence: held.try_get_i64().ok()?,
            size: usize::try_from(held.try_get_u64().ok()?).ok()?,
            is_first: held.try_get_u8().ok()? != 0,
            encoded: held,
        })
    }
}

/// Approximate size of a message in a response: its texts and an allowance for the rest.
pub(crate) fn page_size(message: &Message) -> usize {
    const REST: usize = 512;
    message.text_bytes() + REST
}

/// A new message as the newest element of its list; `None` if it may not be cached.
pub(crate) fn newest_entry(
    form: ValueFormat,
    encoders: Encoders,
    message: &Message,
    max_bytes: usize,
) -> Option<NewestEntry> {
    // Older messages exist, so it is not the first.
    let element = match form {
        ValueFormat::None => return None,
        ValueFormat::Text => json::element(message, false),
        ValueFormat::Encoded => Item::held(encoders, message, false),
    };
    (element.len() <= max_bytes).then_some(NewestEntry {
        sequence: message.sequence,
        element,
    })
}

fn one(raw: &Raw) -> Option<&Bytes> {
    match raw {
        Raw::One(text) => Some(text),
        Raw::List(_) => None,
    }
}

/// A statement that timed out was answered by a database that can be reached.
fn is_away(error: &StorageError) -> bool {
    match error {
        StorageError::Unavailable(_) | StorageError::Busy | StorageError::WritesRefused(_) => true,
        StorageError::TimedOut
        | StorageError::Conflict(_)
        | StorageError::OtherSchema(_)
        | StorageError::Inconsistent { .. }
        | StorageError::Driver(_) => false,
    }
}
