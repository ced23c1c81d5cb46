//! Callers who leave in the middle: their work stops, what must be finished is finished.

use std::time::Duration;

use parlance_proto::v1;
use parlance_testkit::eventually;
use parlance_tests::make::{self, chat};
use parlance_tests::raw::{framed, grpc};
use parlance_tests::{Caller, Kind, Refusal, SOON, Service};
use tokio_postgres::{Client, NoTls};
use tonic::Code;

use crate::load::check_passing;

/// A row that somebody else has locked.
pub(crate) struct Holding {
    holder: Client,
    onlooker: Client,
}

impl Holding {
    /// Locks a conversation.
    pub(crate) async fn conversation(service: &Service, id: &str) -> Self {
        Self::row(
            service,
            &format!("SELECT 1 FROM conversations WHERE id = '{id}' FOR UPDATE"),
        )
        .await
    }

    /// Locks the row that this finds.
    pub(crate) async fn row(service: &Service, select: &str) -> Self {
        let holder = connect(service).await;
        holder.batch_execute("BEGIN").await.unwrap();
        assert_eq!(holder.query(select, &[]).await.unwrap().len(), 1);
        Self {
            holder,
            onlooker: connect(service).await,
        }
    }

    /// Waits until a call stands at the lock.
    pub(crate) async fn until_somebody_waits(&self) {
        eventually(SOON, async || {
            (self.count("wait_event_type = 'Lock'").await > 0).then_some(())
        })
        .await;
    }

    /// Waits until no statement runs and no transaction is open but the lock's own.
    pub(crate) async fn until_nobody_works(&self) {
        eventually(SOON, async || {
            (self.count("state <> 'idle'").await == 1).then_some(())
        })
        .await;
    }

    /// Unlocks.
    pub(crate) async fn let_go(self) {
        self.holder.batch_execute("ROLLBACK").await.unwrap();
    }

    async fn count(&self, which: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND {which}"
        );
        self.onlooker.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

/// Messages whose COMMIT waits for a lock.
pub(crate) struct SlowCommits(Holding);

impl SlowCommits {
    /// At this service.
    pub(crate) async fn of(service: &Service) -> Self {
        let holder = connect(service).await;
        holder
            .batch_execute(
                "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'; \
                 CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW EXECUTE FUNCTION slowly()",
            )
            .await
            .unwrap();
        let lock = "BEGIN; SELECT pg_advisory_xact_lock(7)";
        holder.batch_execute(lock).await.unwrap();
        Self(Holding {
            holder,
            onlooker: connect(service).await,
        })
    }

    /// Waits until a COMMIT stands at the lock.
    pub(crate) async fn until_one_waits(&self) {
        eventually(SOON, async || {
            let waits = "query = 'COMMIT' AND wait_event_type = 'Lock'";
            (self.0.count(waits).await > 0).then_some(())
        })
        .await;
    }

    /// Lets them go on.
    pub(crate) async fn let_go(self) {
        self.0.let_go().await;
    }
}

async fn connect(service: &Service) -> Client {
    let (client, connection) = tokio_postgres::connect(service.database_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_stops_the_work() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let holding = Holding::conversation(&service, &id).await;
    let headers = [
        ("x-parlance-owner", caller.owner()),
        ("grpc-timeout", "300m"),
    ];
    let reply = framed(&make::reply(&id, "too late"));
    let answer = grpc(
        caller.grpc_address(),
        "/parlance.v1.MessageService/SendMessage",
        &headers,
        reply,
    )
    .await;
    assert_eq!(
        Refusal::of(&answer.status()).why(),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    holding.until_nobody_works().await;
    holding.let_go().await;
    assert_eq!(
        caller.ok(make::reply(&id, "in time")).await.sequence,
        2,
        "nothing of it was done"
    );
}

/// No deadline of the caller's: the database's own ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_does_not_wait_for_ever() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let holding = Holding::conversation(&service, &id).await;
    let refusal = caller.refused(make::reply(&id, "hi")).await;
    assert_eq!(refusal.why(), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    holding.until_nobody_works().await;
    caller.ok(chat("", "others are not in the way")).await;
    holding.let_go().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_takes_its_statement_along() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let holding = Holding::conversation(&service, &id).await;
    // More than the pool has connections: those who left must not keep them.
    for _ in 0..3 {
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let (caller, id) = (caller.clone(), id.clone());
                tokio::spawn(async move { caller.ask(make::reply(&id, &n.to_string())).await })
            })
            .collect();
        holding.until_somebody_waits().await;
        for call in calls {
            call.abort();
        }
        holding.until_nobody_works().await;
    }
    caller.ok(chat("", "others are not in the way")).await;
    holding.let_go().await;
    assert_eq!(caller.ok(make::reply(&id, "next")).await.sequence, 2);
}

/// Hidden at once, and gone for good even if nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_has_begun_is_finished() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let mut last = caller.ok(chat("talk", "hi")).await;
    for _ in 0..20 {
        last = caller.ok(chat("talk", "hi")).await;
    }
    let id = last.conversation_id.clone();
    let row = format!("SELECT 1 FROM messages WHERE id = '{}' FOR UPDATE", last.id);
    let holding = Holding::row(&service, &row).await;
    let call = tokio::spawn({
        let (caller, id) = (caller.clone(), id.clone());
        async move { caller.ask(make::delete_conversation(&id)).await }
    });
    holding.until_somebody_waits().await;
    assert_eq!(
        caller.refused(make::get_conversation(&id)).await.code,
        Code::NotFound,
        "hidden already"
    );
    assert_eq!(
        caller.refused(make::get_message(&last.id)).await.code,
        Code::NotFound
    );
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    holding.let_go().await;
    let onlooker = connect(&service).await;
    eventually(SOON, async || {
        let left: i64 = onlooker
            .query_one("SELECT count(*) FROM messages", &[])
            .await
            .unwrap()
            .get(0);
        (left == 0).then_some(())
    })
    .await;
}

/// Watchers come and go; none of them is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watchers_leave_nothing() {
    let service = Service::start(Kind::Sqlite).await;
    let caller = Caller::at(&service);
    for _ in 0..5 {
        let watches = (0..200).map(|_| {
            // Whoever waits for the database for too long amid so many is told so, and comes again.
            eventually(SOON, async || {
                let watch = caller.watch(v1::WatchEventsRequest::default()).await;
                watch.inspect_err(check_passing).ok()
            })
        });
        let watching = futures_util::future::join_all(watches).await;
        assert_eq!(watching.len(), 200);
    }
    let url = format!("{}/metrics", service.http_url());
    eventually(SOON, async || {
        let text = parlance_tests::raw::get(&url).await.text();
        text.lines()
            .any(|line| line == "grpc_server_in_flight 0")
            .then_some(())
    })
    .await;
    let mut request = tonic::Request::new(chat("", "still there"));
    request.set_timeout(Duration::from_secs(10));
    caller.ask_with(request).await.unwrap();
}
