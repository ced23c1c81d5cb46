//! The calls around a commit: fence, record what could not be fenced, commit, release; and the report of a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use parlance_domain::{ConversationId, Owner};
use parlance_storage::{Database, PendingKeys, Sink, StorageError, Touch, Touched};
use parlance_testkit::eventually;

use crate::support::write::append_uncommitted;
use crate::support::{Db, Kind, SOON, at, conversation, open, owner};

/// The calls of a sink, in order.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Fence {
        touches: usize,
        /// Whether another reader already sees the write.
        seen: bool,
    },
    Committed {
        seen: bool,
        pending: usize,
    },
    Failed {
        certain: bool,
    },
}

/// Reads the database at each call.
struct Witness {
    calls: Mutex<Vec<Call>>,
    db: Database,
    owner: Owner,
    looks_for: ConversationId,
    cut: bool,
    /// Early fences are no longer valid.
    outlived: AtomicBool,
}

impl Witness {
    fn new(db: &Database, owner: &Owner, looks_for: ConversationId, cut: bool) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            db: db.clone(),
            owner: owner.clone(),
            looks_for,
            cut,
            outlived: AtomicBool::new(false),
        })
    }

    async fn sees(&self) -> bool {
        let found = self.db.conversation(&self.owner, self.looks_for).await;
        found.unwrap().is_some()
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn two_keys() -> PendingKeys {
    PendingKeys {
        keys: vec!["message:a".to_owned(), "message:b".to_owned()],
        token: "t".to_owned(),
    }
}

impl Sink for Witness {
    /// Whether the fence could not be set.
    type Fence = bool;

    async fn fence(&self, touched: &Touched) -> bool {
        let touches = touched.touches().len();
        let seen = self.sees().await;
        self.note(Call::Fence { touches, seen });
        self.cut
    }

    fn is_valid(&self, _cut: &bool) -> bool {
        !self.outlived.load(Ordering::Relaxed)
    }

    fn pending(cut: &bool) -> Option<PendingKeys> {
        cut.then(two_keys)
    }

    async fn committed(&self, _touched: &Touched, cut: bool) {
        assert_eq!(cut, self.cut);
        let seen = self.sees().await;
        let pending = self.db.cache_pending(false, 10).await.unwrap().len();
        self.note(Call::Committed { seen, pending });
    }

    async fn failed(&self, cut: bool, certain: bool) {
        assert_eq!(cut, self.cut);
        self.note(Call::Failed { certain });
    }
}

on_both! {
    /// The fence is set before any reader can see the write, and passed back when every reader can.
    async fn fence_then_commit_then_release(db: Db) {
        let (owner, new) = (owner("acme"), conversation(&owner("acme")));
        let sink = Witness::new(&db.open, &owner, new.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&new).await.unwrap());
        tx.commit(&sink).await.unwrap();
        let expected = [Call::Fence { touches: 1, seen: false }, Call::Committed { seen: true, pending: 0 }];
        assert_eq!(sink.calls(), expected);
    }

    /// Keys that could not be fenced are recorded in the same transaction: present if and only if the write is.
    async fn unfenced_keys_are_committed_with_the_write(db: Db) {
        let (owner, new) = (owner("acme"), conversation(&owner("acme")));
        let sink = Witness::new(&db.open, &owner, new.id, true);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&new).await.unwrap());
        tx.commit(&sink).await.unwrap();
        let expected = [Call::Fence { touches: 1, seen: false }, Call::Committed { seen: true, pending: 2 }];
        assert_eq!(sink.calls(), expected);
        let rows = db.open.cache_pending(false, 10).await.unwrap();
        let found: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.token.as_str())).collect();
        assert_eq!(found, [("message:a", "t"), ("message:b", "t")]);
    }

    /// If they cannot be recorded, the write is not made.
    async fn a_write_without_its_pending_keys_is_not_made(db: Db) {
        let (owner, new) = (owner("acme"), conversation(&owner("acme")));
        db.run("DROP TABLE cache_pending").await;
        let sink = Witness::new(&db.open, &owner, new.id, true);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&new).await.unwrap());
        tx.commit(&sink).await.unwrap_err();
        let expected = [Call::Fence { touches: 1, seen: false }, Call::Failed { certain: true }];
        assert_eq!(sink.calls(), expected);
        assert!(!sink.sees().await);
    }

    /// A transaction that can only be rolled back fences nothing.
    async fn a_transaction_that_has_failed_fences_nothing(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, target.id, true);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let message = append_uncommitted(&mut tx, target.id).await.unwrap();
        tx.insert_message(&message, &target).await.unwrap_err();
        tx.commit(&sink).await.unwrap_err();
        assert_eq!(sink.calls(), []);
        assert_eq!(db.count("messages").await, 0);
        assert_eq!(db.count("cache_pending").await, 0);
    }

    /// The database refuses a COMMIT: the write is absent and will never appear.
    async fn a_refused_commit_is_certain(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        db.run(match db.kind {
            // A deferred constraint, checked at the commit.
            Kind::Postgres => {
                "CREATE TABLE other (id uuid PRIMARY KEY); ALTER TABLE messages \
                 ADD FOREIGN KEY (id) REFERENCES other DEFERRABLE INITIALLY DEFERRED"
            }
            Kind::Sqlite => {
                "CREATE TABLE other (id blob PRIMARY KEY); \
                 CREATE TABLE refers (id blob REFERENCES other (id) DEFERRABLE INITIALLY DEFERRED); \
                 CREATE TRIGGER refer AFTER INSERT ON messages BEGIN INSERT INTO refers VALUES (new.id); END"
            }
        }).await;
        // Opened again, so that it sees the change.
        let again = db.opened(|_| {}).await;
        let sink = Witness::new(&again, &owner, target.id, true);
        let mut tx = again.begin(&owner, at(0)).await.unwrap();
        append_uncommitted(&mut tx, target.id).await.unwrap();
        tx.commit(&sink).await.unwrap_err();
        assert_eq!(sink.calls()[1..], [Call::Failed { certain: true }]);
        assert_eq!(db.count("messages").await, 0);
        assert_eq!(db.count("cache_pending").await, 0);
        again.begin(&owner, at(0)).await.unwrap().rollback().await.unwrap();
    }

    /// A fence that was set before the last statements is the fence of the commit.
    async fn an_early_fence_is_used_once(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, target.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        append_uncommitted(&mut tx, target.id).await.unwrap();
        let early = tx.fence_early(&sink);
        eventually(SOON, async || (sink.calls().len() == 1).then_some(())).await;
        tx.commit_fenced(early).await.unwrap();
        let expected = [Call::Fence { touches: 2, seen: true }, Call::Committed { seen: true, pending: 0 }];
        assert_eq!(sink.calls(), expected);
    }

    /// If there were changes since, all of them are fenced, and the first fence is passed back.
    async fn an_early_fence_does_not_cover_later_changes(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, target.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let early = tx.fence_early(&sink);
        append_uncommitted(&mut tx, target.id).await.unwrap();
        tx.commit_fenced(early).await.unwrap();
        let calls = eventually(SOON, async || Some(sink.calls()).filter(|calls| calls.len() == 4)).await;
        for expected in [
            Call::Fence { touches: 0, seen: true },
            Call::Failed { certain: true },
            Call::Fence { touches: 2, seen: true },
            Call::Committed { seen: true, pending: 0 },
        ] {
            assert!(calls.contains(&expected), "{calls:?}");
        }
        assert_eq!(db.count("messages").await, 1);
    }

    /// An early fence that is not valid at the commit is passed back, and another one is set.
    async fn an_invalid_early_fence_is_replaced(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, target.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        append_uncommitted(&mut tx, target.id).await.unwrap();
        let early = tx.fence_early(&sink);
        eventually(SOON, async || (sink.calls().len() == 1).then_some(())).await;
        sink.outlived.store(true, Ordering::Relaxed);
        tx.commit_fenced(early).await.unwrap();
        let expected = [
            Call::Fence { touches: 2, seen: true },
            Call::Failed { certain: true },
            Call::Fence { touches: 2, seen: true },
            Call::Committed { seen: true, pending: 0 },
        ];
        assert_eq!(sink.calls(), expected);
    }

    /// Without a commit nothing stays fenced.
    async fn an_unused_early_fence_is_passed_back(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, target.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        append_uncommitted(&mut tx, target.id).await.unwrap();
        drop(tx.fence_early(&sink));
        tx.rollback().await.unwrap();
        let calls = eventually(SOON, async || Some(sink.calls()).filter(|calls| calls.len() == 2)).await;
        let expected = [Call::Fence { touches: 2, seen: true }, Call::Failed { certain: true }];
        assert_eq!(calls, expected);
    }

    /// A repeated change that was committed before is fenced and released again, though nothing changes.
    async fn a_repeated_write_is_fenced_again(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, target.id, true);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        tx.touch(Touch::ConversationChanged(target.id, "ada".to_owned()));
        tx.touch(Touch::ConversationChanged(target.id, "ada".to_owned()));
        tx.commit(&sink).await.unwrap();
        let expected = [Call::Fence { touches: 1, seen: true }, Call::Committed { seen: true, pending: 2 }];
        assert_eq!(sink.calls(), expected);
    }
}

/// Starts a COMMIT that waits, and ends it with this function of Postgres; returns the caller's error and the sink's
/// calls.
async fn interrupted(function: &str) -> (StorageError, bool, Db) {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    // A trigger that runs last waits for a lock.
    db.run(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slowly()",
    )
    .await;
    let holder = db.client().await;
    holder
        .batch_execute("SELECT pg_advisory_lock(7)")
        .await
        .unwrap();
    let sink = Witness::new(&db.open, &owner, target, false);
    let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
    append_uncommitted(&mut tx, target).await.unwrap();
    let committing = Arc::clone(&sink);
    let commit = tokio::spawn(async move { tx.commit(&committing).await });
    let end = format!(
        "SELECT {function} FROM pg_stat_activity \
         WHERE datname = current_database() AND query = 'COMMIT' AND wait_event_type = 'Lock'"
    );
    eventually(SOON, async || {
        (holder.query(&end, &[]).await.unwrap().len() == 1).then_some(())
    })
    .await;
    let error = commit.await.unwrap().unwrap_err();
    let calls = sink.calls()[1..].to_vec();
    let [Call::Failed { certain }] = calls[..] else {
        panic!("{calls:?}");
    };
    (error, certain, db)
}

/// The connection dies under the COMMIT: its outcome is unknown, and is not reported as certain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_uncertain() {
    let (error, certain, _db) = interrupted("pg_terminate_backend(pid, 10000)").await;
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    assert!(!certain);
}

/// A cancelled COMMIT is answered: nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_commit_is_certain() {
    let (error, certain, db) = interrupted("pg_cancel_backend(pid)").await;
    assert!(matches!(error, StorageError::TimedOut), "{error:?}");
    assert!(certain);
    assert_eq!(db.count("messages").await, 0);
}
