//! `CacheService`: what is told of the cache, and what it can be made to do, in each of its forms.

mod audit;
mod backends;
mod expiry;
mod identity;
mod imports;
mod invalidation;
mod responses;
mod warming;

use std::process::Command;

use parlance_proto::v1;
use parlance_testkit::{Postgres, Redis, eventually};
use parlance_tests::{Caller, Kind, Refusal, Rpc, SOON, Service};
use parlance_tests::{make, raw};
use tonic::Request;

/// Where the answer was found.
async fn source<R: Rpc>(t: &Caller, request: R) -> String {
    let response = t.ask_with(Request::new(request)).await.expect("an answer");
    let source = response.metadata().get("x-parlance-cache");
    source
        .expect("a source")
        .to_str()
        .expect("a word")
        .to_owned()
}

/// Reads until this tier answers: values are put there behind the answer that brought them.
async fn until_from<R: Rpc>(t: &Caller, request: R, tier: &str) {
    eventually(SOON, async || {
        (source(t, request.clone()).await == tier).then_some(())
    })
    .await;
}

async fn info(t: &Caller) -> v1::GetCacheInfoResponse {
    t.ok(v1::GetCacheInfoRequest {}).await
}

async fn stats(t: &Caller, tier: &str, kind: &str) -> v1::CacheTierStats {
    let all = t.ok(v1::GetCacheStatsRequest {}).await.tiers;
    let found: Vec<_> = all
        .iter()
        .filter(|s| s.tier == tier && s.kind == kind)
        .collect();
    let [one] = found[..] else {
        panic!("{kind} in {tier} stands {} times in {all:?}", found.len())
    };
    one.clone()
}

/// How many looks into a tier came to this, of three kinds: whoever is told `miss` found nothing, and `gate`, that he must not look.
async fn looks(t: &Caller, tier: &str, kinds: [&str; 3], result: &str) -> u64 {
    let metrics = raw::get(&format!("{}/metrics", t.http_url())).await.text();
    let count = |kind: &str| {
        let labels = format!(r#"kind="{kind}",operation="get",result="{result}",tier="{tier}""#);
        let series = format!("cache_operations_total{{{labels}}} ");
        let found = metrics.lines().find_map(|line| line.strip_prefix(&series));
        found.map_or(0, |number| number.parse::<u64>().expect("a number"))
    };
    kinds.into_iter().map(count).sum()
}

/// Has it done. Redis may be late on a busy machine, and then it is to be told again.
async fn done<R: Rpc>(t: &Caller, request: R) -> R::Reply {
    eventually(SOON, async || match t.ask(request.clone()).await {
        Ok(reply) => Some(reply),
        Err(status) => {
            let refusal = Refusal::of(&status);
            assert_eq!(refusal.reason, "CACHE_UNAVAILABLE", "{request:?}");
            None
        }
    })
    .await
}

fn of_keys(keys: &[String]) -> v1::InvalidateCacheRequest {
    v1::InvalidateCacheRequest {
        keys: keys.to_vec(),
        ..Default::default()
    }
}

fn of_pattern(pattern: &str) -> v1::InvalidateCacheRequest {
    v1::InvalidateCacheRequest {
        pattern: pattern.to_owned(),
        ..Default::default()
    }
}

/// With its cache in its memory, and nobody else who asks.
async fn in_memory() -> (Service, Caller) {
    let service = Service::start(Kind::Sqlite).await;
    let caller = Caller::at(&service);
    (service, caller)
}

/// Two over one Postgres and one Redis.
struct Twins {
    a: Caller,
    b: Caller,
    redis: Redis,
    services: [Service; 2],
}

async fn twins(backend: &str) -> Twins {
    let redis = Redis::start();
    let database = Postgres::shared().create_database().await;
    let start = async || {
        Service::over(&database.url, |builder| {
            let builder = builder.redis_url(redis.url()).env("CACHE_BACKEND", backend);
            builder.env("CACHE_AUDIT_INTERVAL", "1")
        })
        .await
    };
    let (a, b) = tokio::join!(start(), start());
    Twins {
        a: Caller::as_owner(&a, "acme"),
        b: Caller::as_owner(&b, "acme"),
        redis,
        services: [a, b],
    }
}

/// A command of Redis.
fn redis(redis: &Redis, words: &[&str]) -> String {
    let done = Command::new("redis-cli")
        .args(["-u", redis.url()])
        .args(words)
        .output()
        .expect("redis-cli, which comes with Redis");
    assert!(done.status.success(), "{words:?}: {done:?}");
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}

/// A chat with one message: its id and that of its conversation.
async fn talk(t: &Caller) -> (String, String) {
    let message = t.ok(make::chat("", "hello")).await;
    (message.id, message.conversation_id)
}
