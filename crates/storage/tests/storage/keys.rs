//! Idempotency keys: one request takes it, and the others wait for that one.

use parlance_storage::Guarded;
use parlance_storage::db::idempotency::{IdempotencyKey, IdempotencyRecord};
use uuid::Uuid;

use crate::support::{Db, append, at, committed, open, owner, recording_sink};

fn key(name: &str, hash: u8) -> IdempotencyKey {
    IdempotencyKey {
        rpc: "SendMessage",
        key: name.to_owned(),
        request_hash: [hash; 32],
    }
}

fn record(hash: u8, resource: u128) -> IdempotencyRecord {
    IdempotencyRecord {
        request_hash: vec![hash; 32],
        resource_id: Uuid::from_u128(resource),
    }
}

on_both! {
    /// Without the primary key all would take it. The others read what the first one created, and they can only have
    /// waited for it: its commit is its last action.
    async fn one_of_sixteen_takes_the_key_and_the_others_wait(db: Db) {
        let owner = owner("acme");
        let takers: Vec<_> = (1..=16_u8).map(|n| {
            let (db, owner) = (db.open.clone(), owner.clone());
            tokio::spawn(async move {
                let mut tx = db.begin(&owner, at(0)).await.unwrap();
                let mine = key("one", n);
                let taken = tx.take_key(&mine, Uuid::from_u128(u128::from(n))).await.unwrap();
                let found = tx.idempotency_record(&mine).await.unwrap();
                tx.commit(&recording_sink()).await.unwrap();
                (n, taken, found)
            })
        }).collect();
        let mut outcomes = Vec::new();
        for taker in takers {
            outcomes.push(taker.await.unwrap());
        }
        let winners: Vec<u8> = outcomes.iter().filter(|(_, taken, _)| *taken).map(|(n, _, _)| *n).collect();
        let [winner] = winners[..] else { panic!("{winners:?}") };
        for (_, _, found) in outcomes {
            assert_eq!(found, Some(record(winner, u128::from(winner))));
        }
    }

    async fn a_rollback_frees_the_key(db: Db) {
        let owner = owner("acme");
        for abandoned in [false, true] {
            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            assert!(tx.take_key(&key("one", 1), Uuid::from_u128(1)).await.unwrap());
            let (next, of) = (db.open.clone(), owner.clone());
            let waiting = tokio::spawn(async move {
                let mut tx = next.begin(&of, at(0)).await.unwrap();
                let taken = tx.take_key(&key("one", 2), Uuid::from_u128(2)).await.unwrap();
                tx.rollback().await.unwrap();
                taken
            });
            if abandoned { drop(tx) } else { tx.rollback().await.unwrap() }
            assert!(waiting.await.unwrap());
        }
        assert_eq!(db.count("idempotency_keys").await, 0);
    }

    async fn a_key_outlives_its_resource_and_is_pruned_by_age(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let made = append(&db.open, &owner, target.id).await.unwrap();
        for (name, now) in [("old", 10), ("new", 20)] {
            let mut tx = db.open.begin(&owner, at(now)).await.unwrap();
            assert!(tx.take_key(&key(name, 1), made.id.uuid()).await.unwrap());
            committed(tx).await;
        }
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.delete_message(&made, "ada").await.unwrap(), Guarded::Updated);
        committed(tx).await;

        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(!tx.take_key(&key("old", 2), Uuid::nil()).await.unwrap());
        let other = IdempotencyKey { rpc: "CreateConversation", ..key("old", 2) };
        assert!(tx.take_key(&other, Uuid::nil()).await.unwrap(), "another RPC has its own");
        tx.rollback().await.unwrap();

        assert_eq!(db.open.prune_keys(at(10), 9).await.unwrap(), 0);
        assert_eq!(db.open.prune_keys(at(11), 9).await.unwrap(), 1);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.idempotency_record(&key("new", 0)).await.unwrap(), Some(record(1, made.id.uuid().as_u128())));
        assert!(tx.take_key(&key("old", 2), Uuid::nil()).await.unwrap());
        tx.rollback().await.unwrap();
    }

    /// As many as one statement may remove, the oldest first.
    async fn old_keys_are_removed_in_batches(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        for n in 0..7 {
            let mut tx = d.begin(&owner, at(n)).await.unwrap();
            assert!(tx.take_key(&key(&format!("k{n}"), 1), Uuid::from_u128(1)).await.unwrap());
            committed(tx).await;
        }
        for removed in [2, 2, 1, 0] {
            assert_eq!(d.prune_keys(at(5), 2).await.unwrap(), removed);
        }
        let left = db.texts("SELECT key AS v FROM idempotency_keys ORDER BY key").await;
        assert_eq!(left, ["k5", "k6"]);
    }
}
