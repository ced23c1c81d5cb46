//! What the cache asks of the database, and what it answers while that stands still.

use std::time::Duration;

use parlance_proto::v1;
use parlance_testkit::{Builder, Postgres, PostgresConfig, Redis, eventually};
use parlance_tests::{Caller, Rpc, SOON, Service, make};
use tokio_postgres::NoTls;
use tonic::{Request, Status};

/// How many reads of each kind.
const READS: i64 = 300;
/// Less than the second for which an open gate stays open.
const AT_ONCE: Duration = Duration::from_millis(400);

/// Where an answer came from, and whether it is marked as an old one.
type Seen = (String, bool);

async fn read<R: Rpc>(t: &Caller, what: R, staleness: Option<&str>) -> Result<Seen, Status> {
    let mut request = Request::new(what);
    request.set_timeout(AT_ONCE);
    if let Some(staleness) = staleness {
        let value = staleness.parse().expect("plain text");
        request
            .metadata_mut()
            .insert("x-parlance-max-staleness", value);
    }
    let answer = t.ask_with(request).await?;
    let source = answer.metadata().get("x-parlance-cache");
    let source = source.and_then(|source| source.to_str().ok());
    let is_old = answer.metadata().contains_key("x-parlance-stale");
    Ok((source.expect("a source").to_owned(), is_old))
}

/// A message, its conversation, what is newest in that, and what lists, statistics and searches say of it.
struct Talk {
    message: String,
    conversation: String,
}

impl Talk {
    async fn new(t: &Caller) -> Self {
        let sent = t.ok(make::chat("", "hello")).await;
        Self {
            message: sent.id,
            conversation: sent.conversation_id,
        }
    }

    /// Reads all of it.
    async fn read(&self, t: &Caller, staleness: Option<&str>) -> Result<[Seen; 6], Status> {
        let all = v1::ListConversationsRequest::default();
        Ok([
            read(t, make::get_message(&self.message), staleness).await?,
            read(t, make::get_conversation(&self.conversation), staleness).await?,
            read(t, make::list(&self.conversation), staleness).await?,
            read(t, all, staleness).await?,
            read(t, v1::GetStatsRequest::default(), staleness).await?,
            read(t, make::search("hello"), staleness).await?,
        ])
    }

    /// Whether all of it was hit.
    async fn is_hit(&self, t: &Caller) -> bool {
        let seen = self.read(t, None).await;
        seen.is_ok_and(|seen| seen.iter().all(|(source, _)| source != "database"))
    }
}

fn cached(builder: Builder, backend: &str, redis: &Redis) -> Builder {
    let builder = builder.env("CACHE_BACKEND", backend).redis_url(redis.url());
    builder.env("CACHE_AUDIT_INTERVAL", "0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_are_answered_while_the_database_stands_still() {
    let start = || Postgres::start(PostgresConfig::default());
    let postgres = tokio::task::spawn_blocking(start).await.unwrap();
    let database = postgres.create_database().await;
    let redis = Redis::start();
    for backend in ["memory", "redis", "hybrid"] {
        let service = Service::over(&database.url, |b| cached(b, backend, &redis)).await;
        let t = Caller::at(&service);
        let talk = Talk::new(&t).await;
        eventually(SOON, async || {
            if !talk.is_hit(&t).await {
                return None;
            }
            postgres.pause();
            let hit = talk.is_hit(&t).await;
            postgres.resume();
            hit.then_some(())
        })
        .await;
        postgres.pause();
        // The gate shuts: only whoever allows an old answer has one.
        eventually(SOON, async || {
            let old = talk.read(&t, Some("60s")).await.ok()?;
            old.iter().all(|(_, is_old)| *is_old).then_some(())
        })
        .await;
        assert!(talk.read(&t, None).await.is_err(), "{backend}");
        assert!(talk.read(&t, Some("1ms")).await.is_err(), "{backend}");
        postgres.resume();
        eventually(SOON, async || {
            let new = talk.read(&t, Some("60s")).await.ok()?;
            new.iter().all(|(_, is_old)| !is_old).then_some(())
        })
        .await;
    }
}

/// How often Postgres looked into the tables of messages and conversations, from the start of a service to its end.
async fn scans(backend: &str) -> i64 {
    let database = Postgres::shared().create_database().await;
    // Its own: for a moment Redis still belongs to the installation before.
    let redis = Redis::start();
    let service = Service::over(&database.url, |b| cached(b, backend, &redis)).await;
    let t = Caller::at(&service);
    let talk = Talk::new(&t).await;
    let mut reads = 0;
    while reads < READS {
        let counts = talk.is_hit(&t).await || backend == "off";
        reads += i64::from(counts);
    }
    drop((t, service));
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    // Each connection counts for itself until it ends.
    eventually(SOON, async || {
        let others = "SELECT count(*) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let others: i64 = client.query_one(others, &[]).await.unwrap().get(0);
        (others == 0).then_some(())
    })
    .await;
    let scans = "SELECT sum(seq_scan + coalesce(idx_scan, 0))::bigint FROM pg_stat_user_tables \
                 WHERE relname IN ('messages', 'conversations')";
    client.query_one(scans, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_asks_nothing_of_the_database() {
    let uncached = scans("off").await;
    assert!(uncached >= 3 * READS, "{uncached}");
    for backend in ["memory", "redis", "hybrid"] {
        let scans = scans(backend).await;
        assert!(scans < READS, "{backend}: {scans}");
    }
}
