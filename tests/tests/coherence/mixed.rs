//! Instances with different caches and one Postgres, one of which caches in its memory: an acknowledged write at one is
//! visible at the other, also after an instance was stopped for longer than its registration is valid, and in a rolling
//! update.

use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::{Builder, Postgres, Redis, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::{Caller, SOON, Service};
use tonic::Request;

use crate::cluster::exclusive;
use crate::faults::rounds;

/// Longer than an instance serves without renewing its gate.
const OVERLAP: Duration = Duration::from_millis(1500);

fn backend(name: &'static str) -> impl Fn(Builder) -> Builder {
    move |builder| builder.env("CACHE_BACKEND", name)
}

async fn gate(at: &Caller) -> (bool, String) {
    let info = at.ok(v1::GetCacheInfoRequest {}).await;
    (info.gate == "open", info.gate_reason)
}

async fn until_open(at: &Caller) {
    eventually(SOON, async || gate(at).await.0.then_some(())).await;
}

/// A conversation with the number of its changes as title.
struct Counted {
    id: String,
    count: u64,
}

impl Counted {
    async fn new(at: &Caller) -> Self {
        let id = at.ok(chat("", "hi")).await.conversation_id;
        let mut counted = Self { id, count: 0 };
        counted.change(at).await;
        counted
    }

    async fn change(&mut self, at: &Caller) {
        let next = self.count + 1;
        let change = |conversation: &mut v1::Conversation| conversation.title = next.to_string();
        at.ok(make::edit(&self.id, &["title"], change)).await;
        self.count = next;
    }

    /// Reads it, and returns the tier. The title must have the last acknowledged change.
    async fn read(&self, at: &Caller) -> String {
        let acknowledged = self.count;
        let request = Request::new(make::get_conversation(&self.id));
        let answer = at.call_with(request).await.expect("a conversation");
        let source = answer.metadata().get("x-parlance-cache").unwrap().to_str();
        let source = source.expect("a word").to_owned();
        let title = &answer.get_ref().title;
        let found: u64 = title.parse().expect("a number");
        assert!(
            found >= acknowledged,
            "{found} from {source}, {acknowledged} was acknowledged"
        );
        source
    }

    async fn until_from(&self, at: &Caller, source: &str) {
        eventually(SOON, async || (self.read(at).await == source).then_some(())).await;
    }

    /// Changes it at one instance and reads it at the other, for as long as the instances may not know of each other.
    async fn assert_changes_are_visible(&mut self, writer: &Caller, reader: &Caller) {
        let began = Instant::now();
        while began.elapsed() < OVERLAP {
            self.change(writer).await;
            for _ in 0..3 {
                self.read(reader).await;
            }
        }
    }
}

/// While the instance is stopped, another instance finds itself alone and serves from its memory.
async fn stopped_next_to_memory(settings: impl Fn(Builder) -> Builder) {
    let database = Postgres::shared().create_database().await;
    let stopped = Service::over(&database.url, settings).await;
    let memory = Service::over(&database.url, backend("memory")).await;
    let [writer, reader] = [&stopped, &memory].map(|service| Caller::as_owner(service, "acme"));
    let mut counted = Counted::new(&writer).await;
    rounds(async |_| {
        stopped.stop();
        until_open(&reader).await;
        counted.until_from(&reader, "memory").await;
        stopped.cont();
        counted.assert_changes_are_visible(&writer, &reader).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_uncached_instance_waits_for_a_memory_instance() {
    let _running = exclusive().await;
    stopped_next_to_memory(backend("off")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_redis_instance_waits_for_a_memory_instance() {
    let _running = exclusive().await;
    let redis = Redis::start();
    stopped_next_to_memory(|builder| backend("redis")(builder.redis_url(redis.url()))).await;
}

/// A rolling update where each instance caches in its memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_memory_instance_waits_for_the_first() {
    let _running = exclusive().await;
    let database = Postgres::shared().create_database().await;
    let first = Service::over(&database.url, backend("memory")).await;
    let reader = Caller::as_owner(&first, "acme");
    let mut counted = Counted::new(&reader).await;
    for _ in 0..3 {
        until_open(&reader).await;
        counted.until_from(&reader, "memory").await;
        let second = Service::over(&database.url, backend("memory")).await;
        let writer = Caller::as_owner(&second, "acme");
        counted.assert_changes_are_visible(&writer, &reader).await;
        second.kill9();
    }
}

/// The rows that a memory instance writes while a Redis instance is stopped must be there when that continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_instance_keeps_rows_for_a_stopped_redis_instance() {
    let _running = exclusive().await;
    let (redis, database) = (Redis::start(), Postgres::shared().create_database().await);
    let memory = Service::over(&database.url, backend("memory")).await;
    let writer = Caller::as_owner(&memory, "acme");
    let mut counted = Counted::new(&writer).await;
    let stopped = Service::over(&database.url, |builder| {
        backend("redis")(builder.redis_url(redis.url()))
    })
    .await;
    let reader = Caller::as_owner(&stopped, "acme");
    counted.until_from(&reader, "redis").await;
    stopped.stop();
    counted.change(&writer).await;
    // The memory instance finds itself alone.
    eventually(SOON, async || {
        let (open, reason) = gate(&writer).await;
        (open || reason.contains("epoch")).then_some(())
    })
    .await;
    stopped.cont();
    let began = Instant::now();
    while began.elapsed() < OVERLAP {
        counted.read(&reader).await;
    }
}
