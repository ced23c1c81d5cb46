//! A row with a value that this crate never writes is an error that names the row.

use parlance_storage::StorageError;
use parlance_testkit::eventually;

use crate::support::{Db, Kind, SOON, append, at, committed, open, owner, sender};

/// The checks would refuse such a word; a later version or an operator could have removed them.
pub(crate) async fn without_checks(db: &Db, table: &str, set: &str) {
    match db.kind {
        Kind::Sqlite => {
            db.run(&format!(
                "PRAGMA ignore_check_constraints = ON; UPDATE {table} SET {set}"
            ))
            .await;
        }
        Kind::Postgres => {
            let drop = format!(
                "DO $$ DECLARE c text; BEGIN \
                   FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'c' LOOP \
                     EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I', c); \
                   END LOOP; END $$; UPDATE {table} SET {set}"
            );
            db.run(&drop).await;
        }
    }
}

fn named<T: std::fmt::Debug>(
    found: Result<T, StorageError>,
    expected: (&str, &str),
    row: impl std::fmt::Display,
) {
    match found {
        Err(StorageError::Inconsistent {
            table,
            column,
            row: key,
        }) => {
            assert_eq!(
                (table, column, key),
                (expected.0, expected.1, row.to_string())
            );
        }
        other => panic!("{expected:?}: {other:?}"),
    }
}

on_both! {
    async fn an_unknown_word_is_reported_with_its_row(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let new = append(&db.open, &owner, target.id).await.unwrap();
        let from = sender(&owner);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_sender(&from).await.unwrap());
        committed(tx).await;

        let words = [("status", "pending"), ("channel", "sms"), ("direction", "outbound")];
        for (column, good) in words {
            without_checks(&db, "messages", &format!("{column} = 'later'")).await;
            named(db.open.message(&owner, new.id).await, ("messages", column), new.id);
            without_checks(&db, "messages", &format!("{column} = '{good}'")).await;
        }
        for invalid in [r#"{"role": "later"}"#, r#"{"latency_ms": "1"}"#, r#"{"policy": "later"}"#, "[]", "null"] {
            without_checks(&db, "messages", &format!("other_fields = '{invalid}'")).await;
            named(db.open.message(&owner, new.id).await, ("messages", "other_fields"), new.id);
        }
        without_checks(&db, "messages", "other_fields = '{}'").await;
        for (column, good) in [("cc_addresses", "[]"), ("attachments", "[]"), ("error", "null")] {
            without_checks(&db, "messages", &format!("{column} = '{{\"x\": 1}}'")).await;
            named(db.open.message(&owner, new.id).await, ("messages", column), new.id);
            if column != "error" {
                without_checks(&db, "messages", &format!("{column} = '{good}'")).await;
            }
        }
        for column in ["status", "channel"] {
            let words = [("conversations", "active"), ("senders", "active")];
            for (table, good) in words {
                let good = if column == "channel" { "sms" } else { good };
                without_checks(&db, table, &format!("{column} = 'later'")).await;
                if table == "senders" {
                    named(db.open.sender(&owner, from.id).await, (table, column), from.id);
                } else {
                    named(db.open.conversation(&owner, target.id).await, (table, column), target.id);
                }
                without_checks(&db, table, &format!("{column} = '{good}'")).await;
            }
        }
        let id = db.texts("SELECT CAST(max(id) AS text) AS v FROM feed").await.remove(0);
        // A transaction of another test on the same server may delay it for a while.
        let page = async || {
            let page = db.open.feed_page(parlance_storage::feed::Position::default(), 10).await;
            page.is_err().then_some(page)
        };
        without_checks(&db, "feed", &format!("kind = 'later' WHERE id = {id}")).await;
        named(eventually(SOON, page).await, ("feed", "kind"), &id);
        without_checks(&db, "feed", &format!("kind = 'message_created', payload = '{{}}' WHERE id = {id}")).await;
        named(eventually(SOON, page).await, ("feed", "payload"), &id);
    }
}
