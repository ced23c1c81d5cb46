//! Fields of a message that share the column `other_fields`.

use parlance_domain::{DeliveryPolicy, EventType, Message, Role};
use parlance_storage::Guarded;

use crate::support::write::update_message;
use crate::support::{Db, append, at, committed, message, open, owner};

/// Changes one field of a message.
type Change = fn(&mut Message);

const CHANGES: [Change; 5] = [
    |one| one.role = Some(Role::System),
    |one| one.latency_ms = Some(0),
    |one| one.policy = DeliveryPolicy::AtMostOnce,
    |one| "> hi".clone_into(&mut one.quoted_body),
    |_| {},
];

/// Replaces the document of all messages.
async fn stored(db: &Db, document: &str) {
    db.run(&format!("UPDATE messages SET other_fields = '{document}'"))
        .await;
}

on_both! {
    async fn each_field_is_read_as_it_was_written(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        for change in CHANGES {
            target.last_sequence += 1;
            let mut new = message(&target);
            change(&mut new);
            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            tx.insert_message(&new, &target).await.unwrap();
            committed(tx).await;
            assert_eq!(db.open.message(&owner, new.id).await.unwrap(), Some(new));
        }
    }

    async fn a_field_is_written_only_if_it_differs_from_its_default(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        append(&db.open, &owner, target.id).await.unwrap();
        let documents = db.texts("SELECT CAST(other_fields AS text) AS v FROM messages").await;
        assert_eq!(documents, ["{}"]);
    }

    async fn a_missing_field_has_its_default_and_an_unknown_one_is_ignored(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let new = append(&db.open, &owner, target.id).await.unwrap();
        stored(&db, r#"{"later": {"role": "user"}}"#).await;
        assert_eq!(db.open.message(&owner, new.id).await.unwrap().as_ref(), Some(&new));
        stored(&db, r#"{"later": [1], "role": "user", "policy": "at_most_once"}"#).await;
        let expected = Message { role: Some(Role::User), policy: DeliveryPolicy::AtMostOnce, ..new };
        assert_eq!(db.open.message(&owner, expected.id).await.unwrap(), Some(expected));
    }

    /// During a deployment an instance updates messages with fields that it does not know.
    async fn an_update_keeps_an_unknown_field(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let new = append(&db.open, &owner, target.id).await.unwrap();
        stored(&db, r#"{"later": 1}"#).await;
        let changed = Message { body: "changed".to_owned(), version: new.version + 1, ..new.clone() };
        let mut tx = db.open.begin(&owner, at(1)).await.unwrap();
        let done = update_message(&mut tx, &new, &changed, EventType::MessageUpdated, "ada").await.unwrap();
        assert_eq!(done, Guarded::Updated);
        committed(tx).await;
        assert_eq!(db.open.message(&owner, new.id).await.unwrap(), Some(changed));
        let kept = db.texts("SELECT CAST(other_fields AS text) AS v FROM messages").await;
        assert!(kept[0].contains("later"), "{kept:?}");
    }

    /// The comparison of an import reads the role.
    async fn a_comparable_message_has_its_role(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        target.last_sequence += 1;
        let new = Message { role: Some(Role::Assistant), ..message(&target) };
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        tx.insert_message(&new, &target).await.unwrap();
        let found = tx.messages_created_at(target.id, &[new.created_at]).await.unwrap();
        let roles: Vec<_> = found.iter().map(|one| one.role).collect();
        assert_eq!(roles, [Some(Role::Assistant)]);
        tx.rollback().await.unwrap();
    }
}
