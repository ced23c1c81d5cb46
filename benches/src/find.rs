//! Kinds of searches over the filled messages, and the changes of the data that they need.

use clap::ValueEnum;
use parlance_proto::v1;
use serde::Serialize;

use crate::message::{self, PER_CONVERSATION, USERS};

/// Kind of search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Find {
    /// A word of one message
    One,
    /// A word of every hundredth message
    Hundredth,
    /// A word of every second message
    Half,
    /// A word of all messages
    All,
    /// Several words
    Several,
    /// Two words that no message has together
    Neither,
    /// A word in a user's messages
    OfUser,
    /// A word in a conversation
    InConversation,
    /// A word in the few messages of a status
    OfStatus,
    /// A word in the few messages of another status
    OfSent,
    /// A word in the messages of a status without messages
    OfPending,
    /// A word in the few messages of a channel
    OfChannel,
    /// A word in the few inbound messages
    OfDirection,
    /// A word before a time
    Before,
    /// A word after a time
    After,
    /// No word
    Newest,
}

impl Find {
    /// Returns a request about message `n`.
    pub(crate) fn request(self, n: u64) -> v1::SearchMessagesRequest {
        let conversation = n / PER_CONVERSATION;
        let of = |query: &str| v1::SearchMessagesRequest {
            query: query.to_owned(),
            ..v1::SearchMessagesRequest::default()
        };
        match self {
            Self::One => of(&message::order(n)),
            Self::Hundredth => of("hundredth"),
            Self::Half => of("half"),
            Self::All => of("warehouse"),
            Self::Several => of("half warehouse tomorrow thank"),
            Self::Neither => of("hundredth other"),
            Self::OfUser => v1::SearchMessagesRequest {
                user: format!("user-{}", conversation % USERS),
                ..of("warehouse")
            },
            Self::InConversation => v1::SearchMessagesRequest {
                conversation_id: message::conversation_id(conversation).to_string(),
                ..of("warehouse")
            },
            Self::OfStatus => v1::SearchMessagesRequest {
                status: v1::MessageStatus::Failed.into(),
                ..of("half")
            },
            Self::OfSent => v1::SearchMessagesRequest {
                status: v1::MessageStatus::Sent.into(),
                ..of("half")
            },
            Self::OfPending => v1::SearchMessagesRequest {
                status: v1::MessageStatus::Pending.into(),
                ..of("half")
            },
            Self::OfChannel => v1::SearchMessagesRequest {
                channel: v1::Channel::Mms.into(),
                ..of("half")
            },
            Self::OfDirection => v1::SearchMessagesRequest {
                direction: v1::Direction::Inbound.into(),
                ..of("half")
            },
            Self::Before => v1::SearchMessagesRequest {
                created_before: Some(message::time(n, 0)),
                ..of("half")
            },
            Self::After => v1::SearchMessagesRequest {
                created_after: Some(message::time(n, 0)),
                ..of("half")
            },
            Self::Newest => of(""),
        }
    }
}

/// SQL that sets titles that every second and every hundredth conversation has, and changes one message in 5,000 each
/// to failed, to sent, to inbound, and to another channel. The sent ones get another provider, because the simulator
/// would resume its own.
pub(crate) const CHANGES: &str = "\
    UPDATE conversations SET title = CASE \
        WHEN CAST(substr(participant_to, 6) AS integer) % 100 = 0 THEN 'half hundredth' \
        WHEN CAST(substr(participant_to, 6) AS integer) % 2 = 0 THEN 'half' ELSE 'other' END; \
    UPDATE messages SET \
        status = CASE sequence WHEN 7 THEN 'failed' WHEN 8 THEN 'sent' WHEN 9 THEN 'received' ELSE status END, \
        provider = CASE sequence WHEN 8 THEN 'twilio' ELSE provider END, \
        delivered_at = CASE WHEN sequence IN (7, 8, 9) THEN NULL ELSE delivered_at END, \
        direction = CASE sequence WHEN 9 THEN 'inbound' ELSE direction END, \
        channel = CASE sequence WHEN 10 THEN 'mms' ELSE channel END \
        WHERE sequence IN (7, 8, 9, 10) AND conversation_id IN ( \
            SELECT id FROM conversations WHERE CAST(substr(participant_to, 6) AS integer) % 100 IN (0, 50))";
