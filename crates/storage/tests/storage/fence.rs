//! Around a commit: fence, write down what could not be fenced, commit, release; and what is said when it fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use parlance_domain::{ConversationId, Owner};
use parlance_storage::{Database, PendingKeys, Sink, StorageError, Touch, Touched};
use parlance_testkit::eventually;

use crate::support::write::placed;
use crate::support::{Db, Kind, SOON, at, conversation, open, owner};

/// What a sink was asked, in order.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Fence {
        touches: usize,
        /// Whether somebody else already sees the write.
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

/// Looks at the database each time it is asked.
struct Witness {
    calls: Mutex<Vec<Call>>,
    db: Database,
    owner: Owner,
    looks_for: ConversationId,
    cut: bool,
    /// Fences made ahead do not hold any more.
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
    /// Whether it could not be made.
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
    /// The fence stands before anybody can see the write, and is handed back when everybody can.
    async fn fence_then_commit_then_release(db: Db) {
        let (owner, new) = (owner("acme"), conversation(&owner("acme")));
        let sink = Witness::new(&db.open, &owner, new.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&new).await.unwrap());
        tx.commit(&sink).await.unwrap();
        let expected = [Call::Fence { touches: 1, seen: false }, Call::Committed { seen: true, pending: 0 }];
        assert_eq!(sink.calls(), expected);
    }

    /// What could not be fenced is written down in the same transaction: there if and only if the write is.
    async fn what_could_not_be_fenced_is_committed_with_the_write(db: Db) {
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

    /// Where they cannot be written, the write is not made.
    async fn a_write_that_cannot_be_told_of_is_not_made(db: Db) {
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
        let place = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, place.id, true);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let message = placed(&mut tx, place.id).await.unwrap();
        tx.insert_message(&message, &place).await.unwrap_err();
        tx.commit(&sink).await.unwrap_err();
        assert_eq!(sink.calls(), []);
        assert_eq!(db.count("messages").await, 0);
        assert_eq!(db.count("cache_pending").await, 0);
    }

    /// The database says no to a COMMIT: what was written is not there and never will be.
    async fn a_refused_commit_is_certain(db: Db) {
        let owner = owner("acme");
        let place = open(&db.open, &owner).await;
        db.run(match db.kind {
            // A constraint that is looked at when all is done.
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
        // Opened anew, so that it knows of the change.
        let again = db.opened(|_| {}).await;
        let sink = Witness::new(&again, &owner, place.id, true);
        let mut tx = again.begin(&owner, at(0)).await.unwrap();
        placed(&mut tx, place.id).await.unwrap();
        tx.commit(&sink).await.unwrap_err();
        assert_eq!(sink.calls()[1..], [Call::Failed { certain: true }]);
        assert_eq!(db.count("messages").await, 0);
        assert_eq!(db.count("cache_pending").await, 0);
        again.begin(&owner, at(0)).await.unwrap().rollback().await.unwrap();
    }

    /// A fence that was begun before the last statements is that of the commit.
    async fn a_fence_ahead_is_taken_once(db: Db) {
        let owner = owner("acme");
        let place = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, place.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        placed(&mut tx, place.id).await.unwrap();
        let ahead = tx.fence_early(&sink);
        eventually(SOON, async || (sink.calls().len() == 1).then_some(())).await;
        tx.commit_fenced(ahead).await.unwrap();
        let expected = [Call::Fence { touches: 2, seen: true }, Call::Committed { seen: true, pending: 0 }];
        assert_eq!(sink.calls(), expected);
    }

    /// If more was touched since, all of it is fenced, and the first fence is handed back.
    async fn a_fence_ahead_of_other_writes_is_not_relied_on(db: Db) {
        let owner = owner("acme");
        let place = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, place.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let ahead = tx.fence_early(&sink);
        placed(&mut tx, place.id).await.unwrap();
        tx.commit_fenced(ahead).await.unwrap();
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

    /// A fence made ahead that does not hold at the commit is handed back, and another one is made.
    async fn a_fence_ahead_that_no_longer_holds_is_made_again(db: Db) {
        let owner = owner("acme");
        let place = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, place.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        placed(&mut tx, place.id).await.unwrap();
        let ahead = tx.fence_early(&sink);
        eventually(SOON, async || (sink.calls().len() == 1).then_some(())).await;
        sink.outlived.store(true, Ordering::Relaxed);
        tx.commit_fenced(ahead).await.unwrap();
        let expected = [
            Call::Fence { touches: 2, seen: true },
            Call::Failed { certain: true },
            Call::Fence { touches: 2, seen: true },
            Call::Committed { seen: true, pending: 0 },
        ];
        assert_eq!(sink.calls(), expected);
    }

    /// Without a commit nothing stays fenced.
    async fn a_fence_ahead_of_nothing_is_handed_back(db: Db) {
        let owner = owner("acme");
        let place = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, place.id, false);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        placed(&mut tx, place.id).await.unwrap();
        drop(tx.fence_early(&sink));
        tx.rollback().await.unwrap();
        let calls = eventually(SOON, async || Some(sink.calls()).filter(|calls| calls.len() == 2)).await;
        let expected = [Call::Fence { touches: 2, seen: true }, Call::Failed { certain: true }];
        assert_eq!(calls, expected);
    }

    /// What was committed before is fenced and released again, though nothing changes.
    async fn a_write_that_is_repeated_is_fenced_again(db: Db) {
        let owner = owner("acme");
        let place = open(&db.open, &owner).await;
        let sink = Witness::new(&db.open, &owner, place.id, true);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        tx.touch(Touch::ConversationChanged(place.id, "ada".to_owned()));
        tx.touch(Touch::ConversationChanged(place.id, "ada".to_owned()));
        tx.commit(&sink).await.unwrap();
        let expected = [Call::Fence { touches: 1, seen: true }, Call::Committed { seen: true, pending: 2 }];
        assert_eq!(sink.calls(), expected);
    }
}

/// Begins a COMMIT that waits, and ends it with this function of Postgres; what its caller and its sink were told.
async fn interrupted(function: &str) -> (StorageError, bool, Db) {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let place = open(&db.open, &owner).await.id;
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
    let sink = Witness::new(&db.open, &owner, place, false);
    let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
    placed(&mut tx, place).await.unwrap();
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
    let told = sink.calls()[1..].to_vec();
    let [Call::Failed { certain }] = told[..] else {
        panic!("{told:?}");
    };
    (error, certain, db)
}

/// The connection dies under the COMMIT: nobody knows what became of it, and nobody says that it is certain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_in_doubt() {
    let (error, certain, _db) = interrupted("pg_terminate_backend(pid, 10000)").await;
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    assert!(!certain);
}

/// Called off, it is answered: nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_called_off_is_certain() {
    let (error, certain, db) = interrupted("pg_cancel_backend(pid)").await;
    assert!(matches!(error, StorageError::TimedOut), "{error:?}");
    assert!(certain);
    assert_eq!(db.count("messages").await, 0);
}
