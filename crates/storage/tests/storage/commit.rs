//! A commit that has begun is finished and notified, even if its caller has gone.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use parlance_storage::{PendingKeys, Sink, Touched};
use parlance_testkit::eventually;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::{Db, SOON, at, conversation, owner, recording_sink};

/// A sink that notifies only when it is allowed to.
struct Slow {
    begun: Semaphore,
    go_on: Semaphore,
    notified: Semaphore,
}

impl Sink for Slow {
    type Fence = ();

    async fn fence(&self, _touched: &Touched) {}

    fn is_valid(&self, (): &()) -> bool {
        true
    }

    fn pending((): &()) -> Option<PendingKeys> {
        None
    }

    async fn failed(&self, (): (), _certain: bool) {}

    async fn committed(&self, _touched: &Touched, (): ()) {
        self.begun.add_permits(1);
        self.go_on.acquire().await.unwrap().forget();
        self.notified.add_permits(1);
    }
}

/// Starts a commit, drops its caller, and leaves it waiting for the sink.
async fn abandoned_commit(db: &Db) -> Arc<Slow> {
    let owner = owner("acme");
    let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
    assert!(tx.insert_conversation(&conversation(&owner)).await.unwrap());
    let sink = Arc::new(Slow {
        begun: Semaphore::new(0),
        go_on: Semaphore::new(0),
        notified: Semaphore::new(0),
    });
    {
        let mut commit = pin!(tx.commit(&sink));
        tokio::select! {
            biased;
            begun = sink.begun.acquire() => begun.unwrap().forget(),
            _ = &mut commit => panic!("the sink has not ended"),
        }
    }
    sink
}

on_both! {
    /// If the commit were part of the caller's future, the drop after one poll would roll it back.
    async fn a_commit_is_finished_without_its_caller(db: Db) {
        let owner = owner("acme");
        let new = conversation(&owner);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&new).await.unwrap());
        let sink = recording_sink();
        {
            let mut commit = pin!(tx.commit(&sink));
            // Finished by now only if another thread was very quick.
            let _ = commit
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
        }
        eventually(SOON, async || (sink.all().len() == 1).then_some(())).await;
        assert_eq!(db.open.conversation(&owner, new.id).await.unwrap(), Some(new));
    }

    /// The same for the notification, which comes after the commit.
    async fn a_commit_is_notified_without_its_caller(db: Db) {
        let sink = abandoned_commit(&db).await;
        sink.go_on.add_permits(1);
        eventually(SOON, async || sink.notified.try_acquire().ok().map(SemaphorePermit::forget)).await;
    }

    /// The process can wait for a commit that outlives its caller.
    async fn commits_without_a_caller_are_awaited(db: Db) {
        let sink = abandoned_commit(&db).await;
        let mut ended = pin!(db.open.commits_ended());
        let waits = ended.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(waits.is_pending());
        sink.go_on.add_permits(1);
        ended.await;
        assert_eq!(sink.notified.available_permits(), 1);
        db.open.commits_ended().await;
    }

    /// A notified sink can read what was committed.
    async fn a_commit_is_acknowledged_after_its_notification(db: Db) {
        let owner = owner("acme");
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&conversation(&owner)).await.unwrap());
        let sink = recording_sink();
        tx.commit(&sink).await.unwrap();
        assert_eq!(sink.all().len(), 1);
        let tx = db.open.begin(&owner, at(0)).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(sink.all().len(), 1, "a rollback is not notified");
    }
}
