//! The index is built by `migrate`: once, and again for another language.

use parlance_domain::search::{Language, query};
use parlance_storage::db::search::{SearchFilter, SearchWindow};
use parlance_storage::{Database, Settings, migrate, pending_migrations};

use crate::search::put;
use crate::support::{Db, open, owner};

async fn count(settings: &Settings, text: &str) -> usize {
    let database = Database::open(settings).await.unwrap();
    let stretch = SearchWindow {
        beyond: None,
        from: None,
        up_to: None,
        enough: 50,
        limit: 50,
    };
    let words = query(text, settings.search_language);
    let found = database
        .search(&owner("acme"), &words, &SearchFilter::default(), stretch)
        .await
        .unwrap();
    found.matches.len()
}

on_both! {
    async fn a_language_is_changed_by_migrating(db: Db) {
        let mut target = open(&db.open, &owner("acme")).await;
        for body in ["connections", "connected", "boats"] {
            put(&db, &mut target, |new| body.clone_into(&mut new.body)).await;
        }
        assert_eq!(pending_migrations(&db.settings).await.unwrap().indexed, None);
        assert_eq!(count(&db.settings, "connection").await, 0);

        let english = Settings { search_language: Language::English, ..db.settings.clone() };
        assert_eq!(pending_migrations(&english).await.unwrap().indexed, Some(3));
        assert_eq!(pending_migrations(&english).await.unwrap().indexed, Some(3), "looking changes nothing");
        let done = migrate(&english).await.unwrap();
        assert_eq!((done.migrations, done.indexed), (Vec::new(), Some(3)));
        assert!(pending_migrations(&english).await.unwrap().is_empty());
        assert_eq!(count(&english, "connection").await, 2);
        assert_eq!(migrate(&english).await.unwrap().indexed, None, "once");

        assert_eq!(migrate(&db.settings).await.unwrap().indexed, Some(3));
        assert_eq!(count(&db.settings, "connection").await, 0);
        assert_eq!(count(&db.settings, "boats").await, 1);
    }

    /// Messages that are older than the index are found afterwards.
    async fn existing_messages_are_indexed(db: Db) {
        let mut target = open(&db.open, &owner("acme")).await;
        for n in 0..450 {
            put(&db, &mut target, |new| new.body = format!("number n{n}")).await;
        }
        let clear = match db.kind {
            crate::support::Kind::Postgres => "DELETE FROM message_search",
            crate::support::Kind::Sqlite => "DELETE FROM message_search; INSERT INTO message_terms (message_terms) VALUES ('delete-all')",
        };
        db.run(&format!("{clear}; UPDATE search_state SET made_by = ''")).await;
        assert_eq!(count(&db.settings, "number").await, 0);
        assert_eq!(migrate(&db.settings).await.unwrap().indexed, Some(450));
        assert_eq!(count(&db.settings, "number").await, 50);
        assert_eq!(count(&db.settings, "number n17").await, 1);
    }
}
