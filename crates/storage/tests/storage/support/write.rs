//! The write path of the app at its shortest.

use std::sync::{Arc, Mutex};

use parlance_domain::message::Transition;
use parlance_domain::{Conversation, ConversationId, EventType, Message, Owner, Sender};
use parlance_storage::{Database, Guarded, PendingKeys, Sink, StorageResult, Touched, Tx};

use super::make::{at, conversation, message};

/// A sink that records its notifications.
#[derive(Default)]
pub(crate) struct RecordingSink(Mutex<Vec<Touched>>);

impl Sink for RecordingSink {
    type Fence = ();

    async fn fence(&self, _touched: &Touched) {}

    fn is_valid(&self, (): &()) -> bool {
        true
    }

    fn pending((): &()) -> Option<PendingKeys> {
        None
    }

    async fn committed(&self, touched: &Touched, (): ()) {
        self.0.lock().unwrap().push(touched.clone());
    }

    async fn failed(&self, (): (), _certain: bool) {}
}

impl RecordingSink {
    pub(crate) fn all(&self) -> Vec<Touched> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn recording_sink() -> Arc<RecordingSink> {
    Arc::new(RecordingSink::default())
}

/// Commits with a sink that is not read.
pub(crate) async fn committed(tx: Tx) {
    tx.commit(&recording_sink()).await.unwrap();
}

/// Stores a conversation.
pub(crate) async fn open(db: &Database, owner: &Owner) -> Conversation {
    let new = conversation(owner);
    let mut tx = db.begin(owner, at(0)).await.unwrap();
    assert!(tx.insert_conversation(&new).await.unwrap());
    committed(tx).await;
    new
}

/// Takes the next sequence and writes a message with it, uncommitted.
pub(crate) async fn append_uncommitted(tx: &mut Tx, id: ConversationId) -> StorageResult<Message> {
    let found = tx.lock_conversation(id).await?.expect("a conversation");
    let mut moved = found.clone();
    moved.last_sequence += 1;
    moved.message_count += 1;
    moved.version += 1;
    let updated = tx.update_conversation(&found, &moved, false).await?;
    assert_eq!(updated, Guarded::Updated, "the row was locked");
    let new = message(&moved);
    tx.insert_message(&new, &moved).await?;
    Ok(new)
}

/// Stores a message at the end of a conversation.
pub(crate) async fn append(
    db: &Database,
    owner: &Owner,
    id: ConversationId,
) -> StorageResult<Message> {
    let mut tx = db.begin(owner, at(1)).await?;
    let new = append_uncommitted(&mut tx, id).await?;
    tx.commit(&recording_sink()).await?;
    Ok(new)
}

/// Writes decisions about messages, each with the user of its conversation.
pub(crate) async fn store(
    tx: &mut Tx,
    decided: &[(Transition<'_>, &str)],
) -> StorageResult<Guarded> {
    let stored = tx.store_transitions(decided, None::<&Arc<RecordingSink>>);
    stored.await.map(|(outcome, _)| outcome)
}

/// Writes a message back in a state that need not follow from an event.
#[expect(
    clippy::disallowed_methods,
    reason = "storage writes every state back, and the tests have to reach each of them"
)]
pub(crate) async fn update_message(
    tx: &mut Tx,
    found: &Message,
    changed: &Message,
    kind: EventType,
    user: &str,
) -> StorageResult<Guarded> {
    let transition = Transition::unchecked(found, changed.clone(), kind);
    store(tx, &[(transition, user)]).await
}

/// Inserts the delivery of a message.
pub(crate) async fn queued(tx: &mut Tx, message: &Message, sender: &Sender) {
    tx.insert_delivery(message, sender).await.unwrap();
}
