//! One open conversation per pair of addresses, one per external id.

use parlance_domain::{Channel, Conversation, ConversationId, ConversationStatus, Owner};
use parlance_storage::{Database, Guarded};

use crate::support::{Db, at, committed, conversation, owner, recording_sink};

const OURS: &str = "+15550000001";
const THEIRS: &str = "+15559999999";

fn of_pair(owner: &Owner) -> Conversation {
    Conversation {
        participant_from: OURS.to_owned(),
        participant_to: THEIRS.to_owned(),
        ..conversation(owner)
    }
}

/// As the app does it: lock the existing one, else open one; start again if another writer was first.
async fn found_or_opened(db: &Database, owner: &Owner) -> (ConversationId, bool) {
    loop {
        let mut tx = db.begin(owner, at(0)).await.unwrap();
        let found = tx
            .lock_conversation_of_pair(Channel::Mms, OURS, THEIRS)
            .await
            .unwrap();
        let (id, opened) = if let Some(found) = found {
            let mut moved = found.clone();
            moved.last_sequence += 1;
            moved.version += 1;
            let done = tx.update_conversation(&found, &moved, false).await.unwrap();
            assert_eq!(done, Guarded::Updated);
            (moved.id, false)
        } else {
            let mut new = of_pair(owner);
            new.last_sequence = 1;
            if !tx.insert_conversation(&new).await.unwrap() {
                continue;
            }
            (new.id, true)
        };
        tx.commit(&recording_sink()).await.unwrap();
        return (id, opened);
    }
}

async fn insert(db: &Database, new: &Conversation) -> bool {
    let mut tx = db.begin(&new.owner, at(0)).await.unwrap();
    let inserted = tx.insert_conversation(new).await.unwrap();
    committed(tx).await;
    inserted
}

on_both! {
    /// Without the unique index several find nothing and open one each.
    async fn sixteen_openers_open_one(db: Db) {
        let owner = owner("acme");
        let openers: Vec<_> = (0..16).map(|_| {
            let (db, owner) = (db.open.clone(), owner.clone());
            tokio::spawn(async move { found_or_opened(&db, &owner).await })
        }).collect();
        let mut opened = Vec::new();
        let mut found = Vec::new();
        for opener in openers {
            let (id, first) = opener.await.unwrap();
            if first { opened.push(id) } else { found.push(id) }
        }
        assert_eq!((opened.len(), found.len()), (1, 15));
        assert!(found.iter().all(|id| *id == opened[0]));
        let one = db.open.conversation(&owner, opened[0]).await.unwrap().unwrap();
        assert_eq!(one.last_sequence, 16, "all of them wrote into it");
        assert_eq!(db.count("conversations").await, 1);
        assert_eq!(db.count("feed WHERE kind = 'conversation_created'").await, 1);
    }

    async fn closed_and_deleted_conversations_free_the_pair(db: Db) {
        let owner = owner("acme");
        let first = of_pair(&owner);
        assert!(insert(&db.open, &first).await);
        assert!(!insert(&db.open, &of_pair(&owner)).await, "taken");
        assert!(!insert(&db.open, &Conversation { status: ConversationStatus::Archived, ..of_pair(&owner) }).await);
        assert!(insert(&db.open, &of_pair(&crate::support::owner("other"))).await, "another owner has its own");
        assert!(insert(&db.open, &Conversation { channel: Channel::Email, ..of_pair(&owner) }).await);
        for _ in 0..2 {
            let chat = Conversation { channel: Channel::Chat, participant_from: String::new(), participant_to: String::new(), ..conversation(&owner) };
            assert!(insert(&db.open, &chat).await, "chat has any number");
        }

        let closed = Conversation { status: ConversationStatus::Closed, version: 2, ..first.clone() };
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.update_conversation(&first, &closed, true).await.unwrap(), Guarded::Updated);
        assert_eq!(tx.conversation_of_pair(Channel::Sms, OURS, THEIRS).await.unwrap(), None);
        assert_eq!(tx.lock_conversation_of_pair(Channel::Sms, OURS, THEIRS).await.unwrap(), None);
        committed(tx).await;
        let second = of_pair(&owner);
        assert!(insert(&db.open, &second).await);

        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.hide_conversation(&second).await.unwrap(), Guarded::Updated);
        assert_eq!(tx.conversation_of_pair(Channel::Sms, OURS, THEIRS).await.unwrap(), None);
        assert_eq!(tx.lock_conversation_of_pair(Channel::Sms, OURS, THEIRS).await.unwrap(), None);
        committed(tx).await;
        assert!(insert(&db.open, &of_pair(&owner)).await);
    }

    async fn an_external_id_is_unique_per_owner_until_deletion(db: Db) {
        let (owner, other) = (owner("acme"), crate::support::owner("other"));
        let named = |of: &Owner| Conversation { external_id: Some("ticket 7".to_owned()), ..conversation(of) };
        let (first, second) = (named(&owner), conversation(&owner));
        assert!(insert(&db.open, &first).await);
        assert!(!insert(&db.open, &named(&owner)).await, "taken");
        assert!(insert(&db.open, &named(&other)).await, "another owner has its own names");
        assert!(insert(&db.open, &second).await);

        // Renaming to a name that is taken is refused by the database.
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let renamed = Conversation { external_id: first.external_id.clone(), version: 2, ..second.clone() };
        let refused = tx.update_conversation(&second, &renamed, true).await;
        assert!(matches!(refused, Err(parlance_storage::StorageError::Conflict(_))), "{refused:?}");
        drop(tx);

        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.hide_conversation(&first).await.unwrap(), Guarded::Updated);
        assert_eq!(tx.conversation_by_external_id("ticket 7").await.unwrap(), None);
        assert_eq!(tx.lock_conversation_by_external_id("ticket 7").await.unwrap(), None);
        committed(tx).await;
        assert_eq!(db.open.conversation_by_external_id(&owner, "ticket 7").await.unwrap(), None);
        assert!(insert(&db.open, &named(&owner)).await);
    }
}
