//! Imports of old conversations, many rows at a time, and what is visible of them.

use parlance_domain::{Conversation, Direction, Message, Owner};
use parlance_storage::db::import::{ExistingConversation, Import};
use parlance_storage::{Guarded, Touch};

use crate::support::{Db, at, committed, conversation, message, owner};

/// An old conversation of so many messages, half of them inbound, starting at a sequence.
fn old(mut conversation: Conversation, found: Option<&Conversation>, count: i64) -> Import {
    let mut messages = Vec::new();
    for n in 0..count {
        conversation.last_sequence += 1;
        conversation.message_count += 1;
        conversation.last_message_at = Some(at(n));
        let direction = if n % 2 == 0 {
            Direction::Inbound
        } else {
            Direction::Outbound
        };
        messages.push(Message {
            direction,
            tokens_used: Some(n),
            created_at: at(n),
            ..message(&conversation)
        });
    }
    Import {
        found: found.cloned(),
        imported: conversation.last_sequence,
        conversation,
        messages,
    }
}

fn named(owner: &Owner, name: &str) -> Conversation {
    Conversation {
        external_id: Some(name.to_owned()),
        ..conversation(owner)
    }
}

async fn written(db: &Db, owner: &Owner, imports: &[Import]) -> Vec<Touch> {
    let mut tx = db.open.begin(owner, at(9)).await.unwrap();
    assert_eq!(tx.import(imports).await.unwrap(), Guarded::Updated);
    let touches = tx.touched().touches().to_vec();
    committed(tx).await;
    touches
}

on_both! {
    async fn an_import_equals_single_writes(db: Db) {
        let acme = owner("acme");
        // Above and below what one statement writes.
        let new: Vec<Import> = (0..70).map(|n| old(named(&acme, &format!("s{n}")), None, n % 7)).collect();
        let touches = written(&db, &acme, &new).await;
        assert_eq!(touches.len(), 70, "one for each conversation: {touches:?}");
        for import in &new {
            let found = db.open.conversation(&acme, import.conversation.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&import.conversation));
            for message in &import.messages {
                assert_eq!(db.open.message(&acme, message.id).await.unwrap().as_ref(), Some(message));
            }
        }
        let all = i64::try_from(new.iter().map(|import| import.messages.len()).sum::<usize>()).unwrap();
        for (table, rows) in [
            ("messages", all), ("message_search", all), ("conversations", 70), ("imports", 70), ("feed", 70), ("deliveries", 0),
        ] {
            assert_eq!(db.count(table).await, rows, "{table}");
        }
        let before = &new[5].conversation;
        let with = Conversation { version: 2, ..before.clone() };
        let touches = written(&db, &acme, &[old(with, Some(before), 3)]).await;
        assert!(touches.contains(&Touch::ConversationImported(before.id, "ada".to_owned())));
        let mut tx = db.open.begin(&acme, at(9)).await.unwrap();
        assert_eq!(tx.imported(before.id).await.unwrap(), Some(8));
        assert_eq!(db.count("feed").await, 71);
    }

    async fn conflicts_are_reported(db: Db) {
        let acme = owner("acme");
        written(&db, &acme, &[old(named(&acme, "s1"), None, 1)]).await;
        let mut tx = db.open.begin(&acme, at(9)).await.unwrap();
        let again = [old(named(&acme, "s0"), None, 1), old(named(&acme, "s1"), None, 1)];
        assert_eq!(tx.import(&again).await.unwrap(), Guarded::Stale);
        tx.rollback().await.unwrap();
        let stale = named(&acme, "s2");
        let mut tx = db.open.begin(&acme, at(9)).await.unwrap();
        assert_eq!(tx.import(&[old(stale.clone(), Some(&stale), 1)]).await.unwrap(), Guarded::Stale);
        tx.rollback().await.unwrap();
        assert_eq!(db.count("messages").await, 1);
    }

    async fn an_import_is_invisible_to_other_owners(db: Db) {
        let (acme, other) = (owner("acme"), owner("other"));
        let import = old(named(&acme, "s1"), None, 2);
        let (id, name, times) = (import.conversation.id, ["s1".to_owned()], [at(0), at(1), at(5)]);
        written(&db, &acme, std::slice::from_ref(&import)).await;
        let mut tx = db.open.begin(&other, at(9)).await.unwrap();
        assert_eq!(tx.existing_conversations(&name).await.unwrap(), []);
        assert_eq!(tx.imported(id).await.unwrap(), None);
        assert_eq!(tx.messages_created_at(id, &times).await.unwrap(), []);
        tx.rollback().await.unwrap();
        let mut tx = db.open.begin(&acme, at(9)).await.unwrap();
        let known = ExistingConversation { conversation: import.conversation.clone(), imported: Some(2) };
        assert_eq!(tx.existing_conversations(&name).await.unwrap(), [known]);
        let alike = tx.messages_created_at(id, &times).await.unwrap();
        assert_eq!(alike.len(), 2);
        assert!(import.messages.iter().all(|message| alike.iter().any(|one| one.body == message.body)));
    }

    /// The progress of an import is removed with its conversation.
    async fn progress_is_removed_with_the_conversation(db: Db) {
        let acme = owner("acme");
        let import = old(named(&acme, "s1"), None, 2);
        let of = &import.conversation;
        written(&db, &acme, std::slice::from_ref(&import)).await;
        let mut tx = db.open.begin(&acme, at(9)).await.unwrap();
        let found = tx.lock_conversation(of.id).await.unwrap().unwrap();
        assert_eq!(tx.hide_conversation(&found).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        let mut tx = db.open.begin(&acme, at(9)).await.unwrap();
        assert_eq!(tx.existing_conversations(&["s1".to_owned()]).await.unwrap(), []);
        assert_eq!(tx.delete_some_messages(of, 10).await.unwrap(), 2);
        assert_eq!(tx.remove_hidden_conversation(of).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        assert_eq!(db.count("imports").await, 0);
        assert_eq!(db.count("message_search").await, 0);
    }
}
