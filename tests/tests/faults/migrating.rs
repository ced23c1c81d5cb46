//! A migration runs on a large table while an instance of the previous version serves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parlance_testkit::{Postgres, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::{Caller, SOON, Service};
use tokio_postgres::{Client, NoTls};

const ROWS: i64 = 200_000;
/// Concurrent callers.
const CALLERS: usize = 4;

async fn client(service: &Service) -> Client {
    let (client, connection) = tokio_postgres::connect(service.database_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// Copies one message until the table is large.
async fn fill(client: &Client) {
    let sql = "SELECT string_agg(quote_ident(column_name), ',' ORDER BY ordinal_position), \
               string_agg(CASE column_name WHEN 'id' THEN 'gen_random_uuid()' WHEN 'sequence' THEN '1000 + g' \
                   ELSE quote_ident(column_name) END, ',' ORDER BY ordinal_position) \
               FROM information_schema.columns WHERE table_name = 'messages' AND table_schema = current_schema()";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (into, from): (String, String) = (row.get(0), row.get(1));
    let copy = format!(
        "INSERT INTO messages ({into}) SELECT {from} FROM \
         (SELECT * FROM messages ORDER BY id LIMIT 1) m, generate_series(1, {ROWS}) g; ANALYZE messages"
    );
    client.batch_execute(&copy).await.unwrap();
}

/// The concurrent calls, and how many were refused.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    rounds: AtomicUsize,
    refused: AtomicUsize,
}

impl Load {
    /// Sends and reads until the migration has ended.
    async fn call(&self, caller: &Caller, known: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let sent = caller.call(chat(&make::unique("talk"), "during")).await;
            let read = caller.call(make::get_message(known)).await;
            let refused = usize::from(sent.is_err()) + usize::from(read.is_err());
            self.refused.fetch_add(refused, Ordering::Relaxed);
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the callers have made some more rounds and the migration some attempts, or a call was refused.
    async fn until_progress(&self, since: usize, attempts: &AtomicUsize) {
        eventually(SOON, async || {
            let progressed = self.rounds.load(Ordering::Relaxed) > since + 10 * CALLERS
                && attempts.load(Ordering::Relaxed) >= ATTEMPTS;
            (progressed || self.refused.load(Ordering::Relaxed) > 0).then_some(())
        })
        .await;
    }
}

/// Failed attempts of the migration to get its lock before the report ends.
const ATTEMPTS: usize = 5;

/// Adds a column while a report has the table locked, then an index; returns how many requests were refused.
async fn refused_by_migration(lock_timeout: &str) -> usize {
    let database = Postgres::shared().create_database().await;
    let service = Service::over(&database.url, |b| b).await;
    let caller = Caller::at(&service);
    let known = caller.ok(chat("", "before")).await;
    let (migrating, reporting) = (client(&service).await, client(&service).await);
    fill(&migrating).await;
    let (load, attempts) = (Load::default(), AtomicUsize::new(0));
    let calls = (0..CALLERS).map(|_| load.call(&caller, &known.id));
    let migration = async {
        let report = "BEGIN; SELECT count(*) FROM messages";
        reporting.batch_execute(report).await.unwrap();
        let begun = load.rounds.load(Ordering::Relaxed);
        let add = format!(
            "BEGIN; SET LOCAL lock_timeout = '{lock_timeout}'; ALTER TABLE messages ADD COLUMN note text; COMMIT"
        );
        let adding = eventually(SOON, async || {
            attempts.fetch_add(1, Ordering::Relaxed);
            let added = migrating.batch_execute(&add).await;
            let _ = migrating.batch_execute("ROLLBACK").await;
            added.ok()
        });
        let reported = async {
            load.until_progress(begun, &attempts).await;
            reporting.batch_execute("COMMIT").await.unwrap();
        };
        tokio::join!(adding, reported);
        let added = load.rounds.load(Ordering::Relaxed);
        let index = "CREATE INDEX CONCURRENTLY messages_note ON messages (note, created_at)";
        migrating.batch_execute(index).await.unwrap();
        load.until_progress(added, &attempts).await;
        load.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures_util::future::join_all(calls), migration);
    load.refused.into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_during_a_migration_with_a_lock_timeout() {
    assert_eq!(refused_by_migration("200ms").await, 0);
}

/// Without the time-out every statement queues behind the migration, which waits for the report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_fail_during_a_migration_without_a_lock_timeout() {
    assert!(refused_by_migration("0").await > 0);
}
