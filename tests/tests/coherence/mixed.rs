//! Instances with different caches over one Postgres, of which one keeps values in its own memory: what one acknowledges the other
//! shows, also when an instance was stopped for longer than the others count on it, and in a rolling update.

use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::{Builder, Postgres, Redis, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::{Caller, SOON, Service};
use tonic::Request;

use crate::cluster::turn;
use crate::faults::rounds;

/// Longer than an instance serves after it has renewed its right to.
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

/// A conversation whose title counts its changes.
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

    /// Reads it, and where the answer came from. What was acknowledged must be there.
    async fn read(&self, at: &Caller) -> String {
        let due = self.count;
        let request = Request::new(make::get_conversation(&self.id));
        let answer = at.ask_with(request).await.expect("a conversation");
        let source = answer.metadata().get("x-parlance-cache").unwrap().to_str();
        let source = source.expect("a word").to_owned();
        let title = &answer.get_ref().title;
        let found: u64 = title.parse().expect("a number");
        assert!(
            found >= due,
            "{found} from {source}, {due} was acknowledged"
        );
        source
    }

    async fn until_from(&self, at: &Caller, source: &str) {
        eventually(SOON, async || (self.read(at).await == source).then_some(())).await;
    }

    /// Changes it at one instance and reads it at the other, for as long as the other may not know of the one.
    async fn changes_are_seen(&mut self, writer: &Caller, reader: &Caller) {
        let began = Instant::now();
        while began.elapsed() < OVERLAP {
            self.change(writer).await;
            for _ in 0..3 {
                self.read(reader).await;
            }
        }
    }
}

/// While it is stopped, another instance finds itself alone and serves from its memory.
async fn stopped_beside_memory(settings: impl Fn(Builder) -> Builder) {
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
        counted.changes_are_seen(&writer, &reader).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_off_instance_that_was_stopped_waits_for_a_memory_one() {
    let _turn = turn().await;
    stopped_beside_memory(backend("off")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_instance_that_was_stopped_waits_for_a_memory_one() {
    let _turn = turn().await;
    let redis = Redis::start();
    stopped_beside_memory(|builder| backend("redis")(builder.redis_url(redis.url()))).await;
}

/// A rolling update where each instance keeps values in its own memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_memory_instance_waits_for_the_first() {
    let _turn = turn().await;
    let database = Postgres::shared().create_database().await;
    let first = Service::over(&database.url, backend("memory")).await;
    let reader = Caller::as_owner(&first, "acme");
    let mut counted = Counted::new(&reader).await;
    for _ in 0..3 {
        until_open(&reader).await;
        counted.until_from(&reader, "memory").await;
        let second = Service::over(&database.url, backend("memory")).await;
        let writer = Caller::as_owner(&second, "acme");
        counted.changes_are_seen(&writer, &reader).await;
        second.kill9();
    }
}

/// What a memory instance writes beside a paused Redis instance is still there for it when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_instance_leaves_rows_to_a_redis_instance_that_is_stopped() {
    let _turn = turn().await;
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
    // It finds itself alone.
    eventually(SOON, async || {
        let (open, why) = gate(&writer).await;
        (open || why.contains("epoch")).then_some(())
    })
    .await;
    stopped.cont();
    let began = Instant::now();
    while began.elapsed() < OVERLAP {
        counted.read(&reader).await;
    }
}
