//! Messages of filled databases. Everything about a message follows from its number, so that the filler and the load
//! generator agree without a shared file.

use std::time::{Duration, SystemTime};

use parlance_proto::v1;
use prost_types::value::Kind;
use prost_types::{Struct, Timestamp, Value};
use uuid::Uuid;

/// The owner if authentication is off.
pub(crate) const OWNER: &str = "default";
/// Our address.
pub(crate) const SENDER: &str = "+15550001111";
/// Id of the sender.
pub(crate) const SENDER_ID: Uuid = Uuid::from_u128(0x0199_c000_0000_7000_8000_0000_0000_0001);
/// Messages per conversation, the same in small and large databases.
pub(crate) const PER_CONVERSATION: u64 = 100;
/// Number of users that own the conversations, round-robin.
pub(crate) const USERS: u64 = 1_000;
/// Creation time of message 0; each further message is one millisecond later, as in its id.
pub(crate) const EPOCH_MS: u64 = 1_760_000_000_000;
/// The same for conversations; earlier than every message.
pub(crate) const CONVERSATION_EPOCH_MS: u64 = 1_750_000_000_000;
/// Delays of hand-over and receipt after creation.
pub(crate) const SENT_AFTER_MS: u64 = 1_000;
pub(crate) const DELIVERED_AFTER_MS: u64 = 3_000;

/// A set of conversations of equal length in a filled database. Their numbers are consecutive, and so are those of
/// their messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversationSet {
    /// Number of the first conversation.
    pub(crate) first: u64,
    /// Number of its first message.
    pub(crate) first_message: u64,
    /// Number of messages in all of them.
    pub(crate) messages: u64,
    /// Number of messages in each.
    pub(crate) length: u64,
}

impl ConversationSet {
    /// Returns conversations of 100 messages.
    pub(crate) const fn short(messages: u64) -> Self {
        Self {
            first: 0,
            first_message: 0,
            messages,
            length: PER_CONVERSATION,
        }
    }

    /// Returns one conversation with as many messages as the short ones together, numbered after them.
    pub(crate) const fn long(messages: u64) -> Self {
        Self {
            first: long_one(messages),
            first_message: messages,
            messages,
            length: messages,
        }
    }

    pub(crate) const fn count(&self) -> u64 {
        self.messages.div_ceil(self.length)
    }
}

/// Returns the number of the conversation that has as many messages as all before it.
pub(crate) const fn long_one(messages: u64) -> u64 {
    messages.div_ceil(PER_CONVERSATION)
}

/// Returns an id with the format of version 7; `fill::sqlite` does the same in SQL.
const fn id(epoch_ms: u64, n: u64) -> Uuid {
    let ms = (epoch_ms + n) as u128;
    Uuid::from_u128(ms << 80 | 7 << 76 | ((n & 0xfff) as u128) << 64 | 8 << 60 | n as u128)
}

pub(crate) const fn message_id(n: u64) -> Uuid {
    id(EPOCH_MS, n)
}

pub(crate) const fn conversation_id(n: u64) -> Uuid {
    id(CONVERSATION_EPOCH_MS, n)
}

pub(crate) fn recipient(conversation: u64) -> String {
    format!("+1212{conversation:07}")
}

pub(crate) fn body(n: u64) -> String {
    format!(
        "Your order A-{n:08} left our warehouse today and arrives tomorrow between 9 and 12. Reply STOP to hear no \
         more of it. Thank you for buying from us!"
    )
}

pub(crate) fn order(n: u64) -> String {
    format!("A-{n:08}")
}

pub(crate) fn provider_message_id(n: u64) -> String {
    format!("SM{n:032x}")
}

pub(crate) fn time(n: u64, after_ms: u64) -> Timestamp {
    let since_1970 = Duration::from_millis(EPOCH_MS + n + after_ms);
    (SystemTime::UNIX_EPOCH + since_1970).into()
}

/// Returns the message as the service returns it.
pub(crate) fn message(n: u64) -> v1::Message {
    let conversation = n / PER_CONVERSATION;
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    };
    let metadata = [("campaign", text("autumn")), ("order", text(&order(n)))];
    v1::Message {
        id: message_id(n).to_string(),
        conversation_id: conversation_id(conversation).to_string(),
        sequence: i64::try_from(n % PER_CONVERSATION + 1).unwrap_or_default(),
        channel: v1::Channel::Sms.into(),
        direction: v1::Direction::Outbound.into(),
        status: v1::MessageStatus::Delivered.into(),
        from_address: SENDER.to_owned(),
        to_address: recipient(conversation),
        body: body(n),
        provider: "simulator".to_owned(),
        provider_message_id: provider_message_id(n),
        segments: 1,
        metadata: Some(Struct {
            fields: metadata.map(|(k, v)| (k.to_owned(), v)).into(),
        }),
        sent_at: Some(time(n, SENT_AFTER_MS)),
        delivered_at: Some(time(n, DELIVERED_AFTER_MS)),
        created_at: Some(time(n, 0)),
        updated_at: Some(time(n, DELIVERED_AFTER_MS)),
        version: 4,
        etag: "1".to_owned(),
        ..v1::Message::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_ordered_and_of_version_7() {
        let ids = [
            conversation_id(0),
            conversation_id(1),
            message_id(0),
            message_id(5000),
        ];
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(
            message_id(5000).to_string(),
            "0199c82c-d388-7388-8000-000000001388"
        );
    }
}
