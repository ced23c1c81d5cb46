//! Clients that disconnect during a call: their work stops, except what must be finished.

use std::time::Duration;

use parlance_proto::v1;
use parlance_testkit::eventually;
use parlance_tests::make::{self, chat};
use parlance_tests::raw::{framed, grpc};
use parlance_tests::{Caller, Kind, Refusal, SOON, Service};
use tokio_postgres::{Client, NoTls};
use tonic::Code;

use crate::load::assert_transient;

/// A row that another connection has locked.
pub(crate) struct RowLock {
    holder: Client,
    observer: Client,
}

impl RowLock {
    /// Locks a conversation.
    pub(crate) async fn conversation(service: &Service, id: &str) -> Self {
        Self::row(
            service,
            &format!("SELECT 1 FROM conversations WHERE id = '{id}' FOR UPDATE"),
        )
        .await
    }

    /// Locks the row that this query returns.
    pub(crate) async fn row(service: &Service, select: &str) -> Self {
        let holder = connect(service).await;
        holder.batch_execute("BEGIN").await.unwrap();
        assert_eq!(holder.query(select, &[]).await.unwrap().len(), 1);
        Self {
            holder,
            observer: connect(service).await,
        }
    }

    /// Waits until a call waits for the lock.
    pub(crate) async fn until_a_call_waits(&self) {
        eventually(SOON, async || {
            (self.count("wait_event_type = 'Lock'").await > 0).then_some(())
        })
        .await;
    }

    /// Waits until no statement runs and no transaction is open except the one with the lock.
    pub(crate) async fn until_idle(&self) {
        eventually(SOON, async || {
            (self.count("state <> 'idle'").await == 1).then_some(())
        })
        .await;
    }

    /// Releases the lock.
    pub(crate) async fn release(self) {
        self.holder.batch_execute("ROLLBACK").await.unwrap();
    }

    async fn count(&self, which: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND {which}"
        );
        self.observer.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

/// A lock that every COMMIT of a new message waits for.
pub(crate) struct SlowCommits(RowLock);

impl SlowCommits {
    /// Locks the commits of this service.
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
        Self(RowLock {
            holder,
            observer: connect(service).await,
        })
    }

    /// Waits until a COMMIT waits for the lock.
    pub(crate) async fn until_one_waits(&self) {
        eventually(SOON, async || {
            let waits = "query = 'COMMIT' AND wait_event_type = 'Lock'";
            (self.0.count(waits).await > 0).then_some(())
        })
        .await;
    }

    /// Releases the lock.
    pub(crate) async fn release(self) {
        self.0.release().await;
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
async fn a_deadline_cancels_the_statement() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let lock = RowLock::conversation(&service, &id).await;
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
        Refusal::of(&answer.status()).code_and_reason(),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    lock.until_idle().await;
    lock.release().await;
    assert_eq!(
        caller.ok(make::reply(&id, "in time")).await.sequence,
        2,
        "the late message was not stored"
    );
}

/// The caller sets no deadline: the statement time-out ends the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_have_a_time_out() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let lock = RowLock::conversation(&service, &id).await;
    let refusal = caller.refused(make::reply(&id, "hi")).await;
    assert_eq!(
        refusal.code_and_reason(),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    lock.until_idle().await;
    caller
        .ok(chat("", "other conversations are not affected"))
        .await;
    lock.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_disconnected_clients_are_canceled() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let lock = RowLock::conversation(&service, &id).await;
    // More calls than pooled connections: disconnected clients must not keep a connection.
    for _ in 0..3 {
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let (caller, id) = (caller.clone(), id.clone());
                tokio::spawn(async move { caller.call(make::reply(&id, &n.to_string())).await })
            })
            .collect();
        lock.until_a_call_waits().await;
        for call in calls {
            call.abort();
        }
        lock.until_idle().await;
    }
    caller
        .ok(chat("", "other conversations are not affected"))
        .await;
    lock.release().await;
    assert_eq!(caller.ok(make::reply(&id, "next")).await.sequence, 2);
}

/// The conversation is hidden at once, and its rows are deleted even if the client disconnects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_started_deletion_is_finished() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let mut last = caller.ok(chat("talk", "hi")).await;
    for _ in 0..20 {
        last = caller.ok(chat("talk", "hi")).await;
    }
    let id = last.conversation_id.clone();
    let row = format!("SELECT 1 FROM messages WHERE id = '{}' FOR UPDATE", last.id);
    let lock = RowLock::row(&service, &row).await;
    let call = tokio::spawn({
        let (caller, id) = (caller.clone(), id.clone());
        async move { caller.call(make::delete_conversation(&id)).await }
    });
    lock.until_a_call_waits().await;
    assert_eq!(
        caller.refused(make::get_conversation(&id)).await.code,
        Code::NotFound,
        "the conversation is already hidden"
    );
    assert_eq!(
        caller.refused(make::get_message(&last.id)).await.code,
        Code::NotFound
    );
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    lock.release().await;
    let observer = connect(&service).await;
    eventually(SOON, async || {
        let left: i64 = observer
            .query_one("SELECT count(*) FROM messages", &[])
            .await
            .unwrap()
            .get(0);
        (left == 0).then_some(())
    })
    .await;
}

/// Watchers that disconnect leave nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnected_watchers_leave_nothing_behind() {
    let service = Service::start(Kind::Sqlite).await;
    let caller = Caller::at(&service);
    for _ in 0..5 {
        let watches = (0..200).map(|_| {
            // A watcher that waits too long for a database connection gets a transient error, and retries.
            eventually(SOON, async || {
                let watch = caller.watch(v1::WatchEventsRequest::default()).await;
                watch.inspect_err(assert_transient).ok()
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
    let mut request = tonic::Request::new(chat("", "still served"));
    request.set_timeout(Duration::from_secs(10));
    caller.call_with(request).await.unwrap();
}
