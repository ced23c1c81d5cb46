//! Database load of the cache, and responses while the database is stopped.

use std::time::Duration;

use parlance_proto::v1;
use parlance_testkit::{Builder, Postgres, PostgresConfig, Redis, eventually};
use parlance_tests::{Caller, Rpc, SOON, Service, make};
use tokio_postgres::NoTls;
use tonic::{Request, Status};

/// Number of reads of each kind.
const READS: i64 = 300;
/// Time-out of a read: less than the second for which the gate stays open.
const READ_TIMEOUT: Duration = Duration::from_millis(400);

/// The tier that answered, and whether the response is marked as stale.
type Seen = (String, bool);

async fn read<R: Rpc>(t: &Caller, what: R, staleness: Option<&str>) -> Result<Seen, Status> {
    let mut request = Request::new(what);
    request.set_timeout(READ_TIMEOUT);
    if let Some(staleness) = staleness {
        let value = staleness.parse().expect("plain text");
        request
            .metadata_mut()
            .insert("x-parlance-max-staleness", value);
    }
    let answer = t.call_with(request).await?;
    let source = answer.metadata().get("x-parlance-cache");
    let source = source.and_then(|source| source.to_str().ok());
    let is_stale = answer.metadata().contains_key("x-parlance-stale");
    Ok((source.expect("a source").to_owned(), is_stale))
}

/// A message in a conversation, which is read in every way: by id, and in lists, statistics and searches.
struct Fixture {
    message: String,
    conversation: String,
}

impl Fixture {
    async fn new(t: &Caller) -> Self {
        let sent = t.ok(make::chat("", "hello")).await;
        Self {
            message: sent.id,
            conversation: sent.conversation_id,
        }
    }

    /// Reads it in every way.
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

    /// Whether every read is a hit.
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
async fn hits_are_served_while_the_database_is_stopped() {
    let start = || Postgres::start(PostgresConfig::default());
    let postgres = tokio::task::spawn_blocking(start).await.unwrap();
    let database = postgres.create_database().await;
    let redis = Redis::start();
    for backend in ["memory", "redis", "hybrid"] {
        let service = Service::over(&database.url, |b| cached(b, backend, &redis)).await;
        let t = Caller::at(&service);
        let fixture = Fixture::new(&t).await;
        eventually(SOON, async || {
            if !fixture.is_hit(&t).await {
                return None;
            }
            postgres.pause();
            let hit = fixture.is_hit(&t).await;
            postgres.resume();
            hit.then_some(())
        })
        .await;
        postgres.pause();
        // The gate shuts: only callers that allow stale responses are answered.
        eventually(SOON, async || {
            let stale = fixture.read(&t, Some("60s")).await.ok()?;
            stale.iter().all(|(_, is_stale)| *is_stale).then_some(())
        })
        .await;
        assert!(fixture.read(&t, None).await.is_err(), "{backend}");
        assert!(fixture.read(&t, Some("1ms")).await.is_err(), "{backend}");
        postgres.resume();
        eventually(SOON, async || {
            let fresh = fixture.read(&t, Some("60s")).await.ok()?;
            fresh.iter().all(|(_, is_stale)| !is_stale).then_some(())
        })
        .await;
    }
}

/// Number of Postgres scans of the tables of messages and conversations, over the whole run of a service.
async fn scans(backend: &str) -> i64 {
    let database = Postgres::shared().create_database().await;
    // A Redis of its own: a shared one would still belong to the previous installation for a moment.
    let redis = Redis::start();
    let service = Service::over(&database.url, |b| cached(b, backend, &redis)).await;
    let t = Caller::at(&service);
    let fixture = Fixture::new(&t).await;
    let mut reads = 0;
    while reads < READS {
        let counts = fixture.is_hit(&t).await || backend == "off";
        reads += i64::from(counts);
    }
    drop((t, service));
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    // Postgres reports the counters of a connection at its end.
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
async fn hits_need_no_database_access() {
    let uncached = scans("off").await;
    assert!(uncached >= 3 * READS, "{uncached}");
    for backend in ["memory", "redis", "hybrid"] {
        let scans = scans(backend).await;
        assert!(scans < READS, "{backend}: {scans}");
    }
}
