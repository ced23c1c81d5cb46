//! What is looked for among the messages that databases are filled with, and what they are changed to for it.

use clap::ValueEnum;
use parlance_proto::v1;
use serde::Serialize;

use crate::message::{self, PER_CONVERSATION, USERS};

/// A kind of search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Find {
    /// A word that one message has
    One,
    /// A word that every hundredth has
    Hundredth,
    /// A word that every second has
    Half,
    /// A word that all have
    All,
    /// Several words
    Several,
    /// Two words that no message has both
    Neither,
    /// A word in the messages of a user
    OfUser,
    /// A word in a conversation
    InConversation,
    /// A word in the few messages of a status
    OfStatus,
    /// A word in the few messages of another status
    OfSent,
    /// A word in the messages of a status, of which there are none
    OfPending,
    /// A word in the few messages of a channel
    OfChannel,
    /// A word in the few messages that came in
    OfDirection,
    /// A word before a time
    Before,
    /// A word after a time
    After,
    /// No word
    Newest,
}

impl Find {
    /// About any message.
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

/// Titles that every second and every hundredth conversation has; of five thousand messages one that has failed, one that has
/// not arrived yet, one that came in, and one of another channel. The simulator would go on with its own that have not arrived.
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
