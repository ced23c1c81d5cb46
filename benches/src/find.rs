//! What is looked for among the messages that databases are filled with, and what they are changed to for it.

use clap::ValueEnum;
use parlance_proto::v1;
use serde::Serialize;

use crate::message::{self, PER_CONVERSATION};

/// Users that conversations belong to, in turn.
const USERS: u64 = 1_000;

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
    /// A word before a time
    Before,
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
            Self::Before => v1::SearchMessagesRequest {
                created_before: Some(message::time(n, 0)),
                ..of("half")
            },
            Self::Newest => of(""),
        }
    }
}

/// Titles that every second and every hundredth conversation has, a message in ten thousand that has failed, and an index
/// that is yet to be made.
pub(crate) const CHANGES: &str = "\
    UPDATE conversations SET title = CASE \
        WHEN CAST(substr(participant_to, 6) AS integer) % 100 = 0 THEN 'half hundredth' \
        WHEN CAST(substr(participant_to, 6) AS integer) % 2 = 0 THEN 'half' ELSE 'other' END; \
    UPDATE messages SET status = 'failed' WHERE sequence = 7 AND conversation_id IN ( \
        SELECT id FROM conversations WHERE CAST(substr(participant_to, 6) AS integer) % 100 IN (0, 50)); \
    UPDATE search_state SET made_by = ''";
