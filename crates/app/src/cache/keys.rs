//! What each change means for the cache: the one place that knows. A change that is not here does not compile.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use parlance_cache::{Key, Kind};
use parlance_domain::{ConversationId, Message, MessageId};
use parlance_storage::{Touch, Touched};

/// What a write does to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// What it holds changes, or goes.
    Changed(Key),
    /// A message comes on top of its list.
    Appended {
        /// The list.
        key: Key,
        /// The message.
        message: Box<Message>,
    },
}

impl Write {
    const fn key(&self) -> Key {
        match self {
            Self::Changed(key) | Self::Appended { key, .. } => *key,
        }
    }
}

/// What a transaction does to keys, each named once. A key that changes in more than one way has changed: only one message at a
/// time can come on top of a list that is as it was.
pub(crate) fn writes(touched: &Touched) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    let mut places = HashMap::new();
    for write in touched.touches().iter().flat_map(of) {
        match places.entry(write.key()) {
            Entry::Vacant(place) => {
                place.insert(writes.len());
                writes.push(write);
            }
            Entry::Occupied(place) => {
                if let Some(first) = writes.get_mut(*place.get()) {
                    *first = Write::Changed(write.key());
                }
            }
        }
    }
    writes
}

fn of(touch: &Touch) -> Vec<Write> {
    match touch {
        // Nobody has asked for what was not there: a miss is not cached. Senders are not cached either.
        Touch::ConversationCreated(..) | Touch::Sender(_) => Vec::new(),
        Touch::ConversationChanged(id, _) => vec![Write::Changed(conversation(*id))],
        Touch::ConversationDeleted(id, _) | Touch::ConversationImported(id, _) => vec![
            Write::Changed(conversation(*id)),
            Write::Changed(newest(*id)),
        ],
        Touch::MessageCreated(message) => vec![Write::Appended {
            key: newest(message.conversation_id),
            message: message.clone(),
        }],
        Touch::MessageChanged(id, of) | Touch::MessageDeleted(id, of) => vec![
            Write::Changed(self::message(*id)),
            Write::Changed(newest(*of)),
        ],
    }
}

/// The key of a message.
pub(crate) const fn message(id: MessageId) -> Key {
    Key::new(Kind::Message, id.uuid().as_u128())
}

/// The key of a conversation.
pub(crate) const fn conversation(id: ConversationId) -> Key {
    Key::new(Kind::Conversation, id.uuid().as_u128())
}

/// The key of a conversation's newest messages.
pub(crate) const fn newest(id: ConversationId) -> Key {
    Key::new(Kind::Messages, id.uuid().as_u128())
}

#[cfg(test)]
mod tests {
    use parlance_domain::message::Progress;
    use parlance_domain::{Channel, DeliveryPolicy, Direction, Json, Owner, SenderId, Timestamp};
    use parlance_storage::{Database, DatabaseUrl, Settings, migrate};
    use parlance_testkit::SqliteFile;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn talk(n: u8) -> ConversationId {
        ConversationId::new(AT, [n; 10])
    }

    fn id(n: u8) -> MessageId {
        MessageId::new(AT, [n; 10])
    }

    fn created(n: u8, of: ConversationId) -> Box<Message> {
        Box::new(Message {
            id: id(n),
            owner: Owner::parse("acme").unwrap(),
            conversation_id: of,
            sequence: i64::from(n),
            channel: Channel::Chat,
            direction: Direction::Outbound,
            role: None,
            from_address: String::new(),
            to_address: String::new(),
            cc_addresses: Vec::new(),
            subject: String::new(),
            body: String::new(),
            html_body: String::new(),
            attachments: Vec::new(),
            provider: None,
            provider_message_id: None,
            progress: Progress::pending(),
            segments: 0,
            tokens_used: None,
            latency_ms: None,
            metadata: Json::default(),
            policy: DeliveryPolicy::AtLeastOnce,
            counts_unread: false,
            send_at: None,
            expires_at: None,
            created_at: AT,
            updated_at: AT,
            version: 1,
            edit_version: 1,
        })
    }

    fn changed(keys: impl IntoIterator<Item = Key>) -> Vec<Write> {
        keys.into_iter().map(Write::Changed).collect()
    }

    fn appended(message: &Message) -> Write {
        Write::Appended {
            key: newest(message.conversation_id),
            message: Box::new(message.clone()),
        }
    }

    /// What a transaction that touched this writes to the cache.
    async fn written(touches: impl IntoIterator<Item = Touch>) -> Vec<Write> {
        let file = SqliteFile::new();
        let settings = Settings::new(DatabaseUrl::parse(&file.url()).unwrap());
        migrate(&settings).await.unwrap();
        let database = Database::open(&settings).await.unwrap();
        let owner = Owner::parse("acme").unwrap();
        let mut tx = database.begin(&owner, AT).await.unwrap();
        for touch in touches {
            tx.retouch(touch);
        }
        writes(tx.touched())
    }

    fn user() -> String {
        "ada".to_owned()
    }

    #[tokio::test]
    async fn a_message_comes_on_top_of_its_list() {
        let message = created(1, talk(1));
        let send = [
            Touch::ConversationChanged(talk(1), user()),
            Touch::MessageCreated(message.clone()),
        ];
        let expected = [Write::Changed(conversation(talk(1))), appended(&message)];
        assert_eq!(written(send).await, expected);
    }

    #[tokio::test]
    async fn what_is_new_needs_no_fence_of_its_own() {
        let message = created(1, talk(1));
        let first = [
            Touch::ConversationCreated(talk(1), user()),
            Touch::MessageCreated(message.clone()),
            Touch::Sender(SenderId::new(AT, [1; 10])),
        ];
        assert_eq!(written(first).await, [appended(&message)]);
    }

    #[tokio::test]
    async fn a_changed_message_changes_its_list() {
        let expected = changed([message(id(1)), newest(talk(1))]);
        let touch = Touch::MessageChanged(id(1), talk(1));
        assert_eq!(written([touch]).await, expected);
        let delete = [
            Touch::MessageDeleted(id(1), talk(1)),
            Touch::ConversationChanged(talk(1), user()),
        ];
        let expected = changed([message(id(1)), newest(talk(1)), conversation(talk(1))]);
        assert_eq!(written(delete).await, expected);
    }

    #[tokio::test]
    async fn a_conversation_changes_alone_and_goes_with_all() {
        // A change of the user touches both, and is one key.
        let moved = [
            Touch::ConversationChanged(talk(1), user()),
            Touch::ConversationChanged(talk(1), "eve".to_owned()),
        ];
        assert_eq!(written(moved).await, changed([conversation(talk(1))]));
        let deleted = [
            Touch::ConversationDeleted(talk(1), user()),
            Touch::MessageDeleted(id(1), talk(1)),
            Touch::MessageDeleted(id(2), talk(1)),
        ];
        let expected = [
            conversation(talk(1)),
            newest(talk(1)),
            message(id(1)),
            message(id(2)),
        ];
        assert_eq!(written(deleted).await, changed(expected));
    }

    #[tokio::test]
    async fn only_one_message_comes_on_top_of_a_list() {
        let (first, second, other) = (
            created(1, talk(1)),
            created(2, talk(1)),
            created(3, talk(2)),
        );
        let two = [
            Touch::MessageCreated(first.clone()),
            Touch::MessageCreated(other.clone()),
            Touch::MessageCreated(second),
        ];
        let expected = [Write::Changed(newest(talk(1))), appended(&other)];
        assert_eq!(written(two).await, expected);
        for touch in [
            Touch::MessageChanged(id(1), talk(1)),
            Touch::MessageDeleted(id(9), talk(1)),
            Touch::ConversationDeleted(talk(1), user()),
        ] {
            let created = Touch::MessageCreated(first.clone());
            for both in [[created.clone(), touch.clone()], [touch, created]] {
                let writes = written(both).await;
                assert!(writes.contains(&Write::Changed(newest(talk(1)))));
                assert!(!writes.contains(&appended(&first)));
            }
        }
    }
}
