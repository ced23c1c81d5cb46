//! Mapping from changes to cache keys; it exists only here. A new kind of change does not compile until it is mapped.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use parlance_cache::{Key, Kind};
use parlance_domain::{ConversationId, Message, MessageId, Owner};
use parlance_storage::{Touch, Touched};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::paging::QueryFingerprint;

/// Effect of a write on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// The value changes or is removed.
    Changed(Key),
    /// A message is appended to its list as the newest.
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

/// The effects of a transaction, each key once. A key with more than one effect counts as changed: only a single
/// message can be appended to an otherwise unchanged list.
pub(crate) fn writes(touched: &Touched, installation: Uuid) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    let mut indexes = HashMap::new();
    let changes: Vec<_> = touched.touches().iter().map(of).collect();
    let users = changes.iter().map(|(_, user)| *user).collect();
    for write in changes.into_iter().flat_map(|(writes, _)| writes) {
        match indexes.entry(write.key()) {
            Entry::Vacant(entry) => {
                entry.insert(writes.len());
                writes.push(write);
            }
            Entry::Occupied(entry) => {
                if let Some(first) = writes.get_mut(*entry.get()) {
                    *first = Write::Changed(write.key());
                }
            }
        }
    }
    let rotated = scopes(touched, &users, installation);
    writes.extend(rotated.map(|scope| Write::Changed(scope.generation())));
    writes
}

/// The scopes that may show the changes: the owner, and the users of the changed conversations.
fn scopes(
    touched: &Touched,
    users: &BTreeSet<Option<&str>>,
    installation: Uuid,
) -> impl Iterator<Item = Scope> {
    let owner = touched.owner();
    let whole = (!users.is_empty()).then(|| Scope::of(installation, owner, None));
    // Conversations without a user are in the owner's scope only.
    let named = users.iter().flatten().filter(|user| !user.is_empty());
    whole
        .into_iter()
        .chain(named.map(move |user| Scope::of(installation, owner, Some(user))))
}

/// The keys that a change affects, and the user in addition to the owner with scoped values that may show it.
fn of(touch: &Touch) -> (Vec<Write>, Option<&str>) {
    match touch {
        // Nothing can be cached for a new id: a miss is not cached.
        Touch::ConversationCreated(_, user) | Touch::ConversationIndexed(_, user) => {
            (Vec::new(), Some(user))
        }
        Touch::ConversationChanged(id, user) => {
            (vec![Write::Changed(conversation(*id))], Some(user))
        }
        Touch::ConversationDeleted(id, user) | Touch::ConversationImported(id, user) => {
            let keys = [conversation(*id), newest(*id)];
            (keys.map(Write::Changed).into(), Some(user))
        }
        Touch::MessageCreated(message, user) => {
            let write = Write::Appended {
                key: newest(message.conversation_id),
                message: message.clone(),
            };
            (vec![write], Some(user))
        }
        Touch::MessageChanged(id, of, user) | Touch::MessageDeleted(id, of, user) => {
            let keys = [message(*id), newest(*of)];
            (keys.map(Write::Changed).into(), Some(user))
        }
        // Not cached, and not part of any cached value.
        Touch::Sender(_) => (Vec::new(), None),
    }
}

/// Scope of lists, statistics and searches that are invalidated together: an owner, or one of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope(u128);

impl Scope {
    /// The first half of a SHA-256 over the installation's id (32 hex digits), a space and the owner; for a user
    /// followed by a space and the user. An owner contains no space. Scopes of two installations differ.
    pub(crate) fn of(installation: Uuid, owner: &Owner, user: Option<&str>) -> Self {
        let mut hash = Sha256::new_with_prefix(format!("{} ", installation.simple()));
        hash.update(owner.as_str());
        if let Some(user) = user {
            hash.update(" ");
            hash.update(user);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(u128::from_be_bytes(half))
    }

    /// The key of the scope's generation, which is rotated when something in it changes.
    pub(crate) const fn generation(self) -> Key {
        Key::new(Kind::Generation, self.0)
    }

    /// Key of the first page of a list.
    pub(crate) fn list(self, fingerprint: QueryFingerprint) -> Key {
        Key::of_query(Kind::List, self.0, fingerprint.short(), 0)
    }

    /// Key of the statistics.
    pub(crate) const fn stats(self) -> Key {
        Key::new(Kind::Stats, self.0)
    }

    /// Key of the first page of a search, for a page size.
    pub(crate) fn search(self, fingerprint: QueryFingerprint, limit: usize) -> Key {
        let limit = u16::try_from(limit).unwrap_or(u16::MAX);
        Key::of_query(Kind::Search, self.0, fingerprint.short(), limit)
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

/// Whether a kind holds values. The generation of a scope only validates values.
pub(crate) fn is_value(kind: Kind) -> bool {
    kind != Kind::Generation
}

#[cfg(test)]
mod tests {
    use parlance_domain::{Channel, Owner, SenderId, Timestamp};
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
            ..parlance_testkit::message()
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

    /// The cache writes of a transaction with these changes.
    async fn all_writes(touches: impl IntoIterator<Item = Touch>) -> Vec<Write> {
        let file = SqliteFile::new();
        let settings = Settings::new(DatabaseUrl::parse(&file.url()).unwrap());
        migrate(&settings).await.unwrap();
        let database = Database::open(&settings).await.unwrap();
        let owner = Owner::parse("acme").unwrap();
        let mut tx = database.begin(&owner, AT).await.unwrap();
        for touch in touches {
            tx.touch(touch);
        }
        writes(tx.touched(), Uuid::nil())
    }

    /// The writes without generations.
    async fn value_writes(touches: impl IntoIterator<Item = Touch>) -> Vec<Write> {
        let mut writes = all_writes(touches).await;
        writes.retain(|write| write.key().kind() != Kind::Generation);
        writes
    }

    /// The scopes with rotated generations, the owner's first.
    async fn rotated(touches: impl IntoIterator<Item = Touch>) -> Vec<Write> {
        let mut writes = all_writes(touches).await;
        writes.retain(|write| write.key().kind() == Kind::Generation);
        writes
    }

    fn generations(users: &[&str]) -> Vec<Write> {
        let owner = Owner::parse("acme").unwrap();
        let scope = |user| Scope::of(Uuid::nil(), &owner, user);
        let named = users.iter().map(|user| scope(Some(*user)));
        let scopes = std::iter::once(scope(None)).chain(named);
        changed(scopes.map(Scope::generation))
    }

    fn user() -> String {
        "ada".to_owned()
    }

    #[tokio::test]
    async fn an_import_changes_its_conversation_and_all_of_its_list() {
        let imported = Touch::ConversationImported(talk(1), user());
        let expected = changed([conversation(talk(1)), newest(talk(1))]);
        assert_eq!(value_writes([imported]).await, expected);
    }

    #[tokio::test]
    async fn every_change_rotates_the_generations_of_its_owner_and_user() {
        let message = created(1, talk(1));
        for touch in [
            Touch::ConversationCreated(talk(1), user()),
            Touch::ConversationChanged(talk(1), user()),
            Touch::ConversationDeleted(talk(1), user()),
            Touch::ConversationImported(talk(1), user()),
            Touch::ConversationIndexed(talk(1), user()),
            Touch::MessageCreated(message, user()),
            Touch::MessageChanged(id(1), talk(1), user()),
            Touch::MessageDeleted(id(1), talk(1), user()),
        ] {
            let label = format!("{touch:?}");
            assert_eq!(rotated([touch]).await, generations(&["ada"]), "{label}");
        }
        let sender = Touch::Sender(SenderId::new(AT, [1; 10]));
        assert_eq!(rotated([sender]).await, generations(&[]));
        let without_user = Touch::ConversationChanged(talk(1), String::new());
        assert_eq!(rotated([without_user]).await, generations(&[]));
        assert_eq!(rotated([]).await, []);
    }

    #[tokio::test]
    async fn changes_of_several_users_rotate_each_generation_once() {
        let of = |n: u8, user: &str| {
            [
                Touch::ConversationChanged(talk(n), user.to_owned()),
                Touch::MessageCreated(created(n, talk(n)), user.to_owned()),
                Touch::MessageChanged(id(n + 100), talk(n), user.to_owned()),
            ]
        };
        let many = (0..20).flat_map(|n| of(n, ["eve", "", "ada"][usize::from(n % 3)]));
        assert_eq!(rotated(many).await, generations(&["ada", "eve"]));
    }

    #[test]
    fn a_scope_equals_the_hash_computed_by_sha256sum() {
        let owner = Owner::parse("acme").unwrap();
        let one = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0001);
        for (scope, expected) in [
            (
                Scope::of(one, &owner, None),
                "54979a508e857b0123cc75312fc6c447",
            ),
            (
                Scope::of(one, &owner, Some("ada ä")),
                "0a9f1adc087bfae1533b086868cefe79",
            ),
            (
                Scope::of(Uuid::nil(), &owner, None),
                "cdcef4a8e9bf2cf6fe23f632f58779b9",
            ),
        ] {
            assert_eq!(
                scope.generation().to_string(),
                format!("generation:{{{expected}}}")
            );
        }
    }

    #[tokio::test]
    async fn a_message_is_appended_to_its_list() {
        let message = created(1, talk(1));
        let send = [
            Touch::ConversationChanged(talk(1), user()),
            Touch::MessageCreated(message.clone(), user()),
        ];
        let expected = [Write::Changed(conversation(talk(1))), appended(&message)];
        assert_eq!(value_writes(send).await, expected);
    }

    #[tokio::test]
    async fn a_new_conversation_needs_no_fence() {
        let message = created(1, talk(1));
        let first = [
            Touch::ConversationCreated(talk(1), user()),
            Touch::MessageCreated(message.clone(), user()),
            Touch::Sender(SenderId::new(AT, [1; 10])),
            Touch::ConversationIndexed(talk(1), user()),
        ];
        assert_eq!(value_writes(first).await, [appended(&message)]);
    }

    #[tokio::test]
    async fn a_changed_message_changes_its_list() {
        let expected = changed([message(id(1)), newest(talk(1))]);
        let touch = Touch::MessageChanged(id(1), talk(1), user());
        assert_eq!(value_writes([touch]).await, expected);
        let delete = [
            Touch::MessageDeleted(id(1), talk(1), user()),
            Touch::ConversationChanged(talk(1), user()),
        ];
        let expected = changed([message(id(1)), newest(talk(1)), conversation(talk(1))]);
        assert_eq!(value_writes(delete).await, expected);
    }

    #[tokio::test]
    async fn a_change_affects_one_key_and_a_deletion_affects_all() {
        // A change of the user touches both users, but one key.
        let moved = [
            Touch::ConversationChanged(talk(1), user()),
            Touch::ConversationChanged(talk(1), "eve".to_owned()),
        ];
        assert_eq!(value_writes(moved).await, changed([conversation(talk(1))]));
        let deleted = [
            Touch::ConversationDeleted(talk(1), user()),
            Touch::MessageDeleted(id(1), talk(1), user()),
            Touch::MessageDeleted(id(2), talk(1), user()),
        ];
        let expected = [
            conversation(talk(1)),
            newest(talk(1)),
            message(id(1)),
            message(id(2)),
        ];
        assert_eq!(value_writes(deleted).await, changed(expected));
    }

    #[tokio::test]
    async fn only_a_single_message_is_appended_to_a_list() {
        let (first, second, other) = (
            created(1, talk(1)),
            created(2, talk(1)),
            created(3, talk(2)),
        );
        let two = [
            Touch::MessageCreated(first.clone(), user()),
            Touch::MessageCreated(other.clone(), user()),
            Touch::MessageCreated(second, user()),
        ];
        let expected = [Write::Changed(newest(talk(1))), appended(&other)];
        assert_eq!(value_writes(two).await, expected);
        for touch in [
            Touch::MessageChanged(id(1), talk(1), user()),
            Touch::MessageDeleted(id(9), talk(1), user()),
            Touch::ConversationDeleted(talk(1), user()),
        ] {
            let created = Touch::MessageCreated(first.clone(), user());
            for both in [[created.clone(), touch.clone()], [touch, created]] {
                let writes = value_writes(both).await;
                assert!(writes.contains(&Write::Changed(newest(talk(1)))));
                assert!(!writes.contains(&appended(&first)));
            }
        }
    }
}
