//! `CacheService`: its reports and commands, with each cache backend.

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

/// The tier that answers a request.
async fn source<R: Rpc>(t: &Caller, request: R) -> String {
    let response = t.call_with(Request::new(request)).await.expect("an answer");
    let source = response.metadata().get("x-parlance-cache");
    source
        .expect("a source")
        .to_str()
        .expect("a word")
        .to_owned()
}

/// Reads until this tier answers: values are filled after the response that loaded them.
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
        panic!("{kind} in {tier} has {} entries in {all:?}", found.len())
    };
    one.clone()
}

/// Number of lookups of three kinds in a tier with this result: `miss` means no value, `gate` that the cache may not be
/// read.
async fn lookups(t: &Caller, tier: &str, kinds: [&str; 3], result: &str) -> u64 {
    let metrics = raw::get(&format!("{}/metrics", t.http_url())).await.text();
    let count = |kind: &str| {
        let labels = format!(r#"kind="{kind}",operation="get",result="{result}",tier="{tier}""#);
        let series = format!("cache_operations_total{{{labels}}} ");
        let found = metrics.lines().find_map(|line| line.strip_prefix(&series));
        found.map_or(0, |number| number.parse::<u64>().expect("a number"))
    };
    kinds.into_iter().map(count).sum()
}

/// Makes a call that needs Redis, and repeats it while Redis is too late.
async fn ok_with_redis<R: Rpc>(t: &Caller, request: R) -> R::Reply {
    eventually(SOON, async || match t.call(request.clone()).await {
        Ok(reply) => Some(reply),
        Err(status) => {
            let refusal = Refusal::of(&status);
            assert_eq!(refusal.reason, "CACHE_UNAVAILABLE", "{request:?}");
            None
        }
    })
    .await
}

fn by_keys(keys: &[String]) -> v1::InvalidateCacheRequest {
    v1::InvalidateCacheRequest {
        keys: keys.to_vec(),
        ..Default::default()
    }
}

fn by_pattern(pattern: &str) -> v1::InvalidateCacheRequest {
    v1::InvalidateCacheRequest {
        pattern: pattern.to_owned(),
        ..Default::default()
    }
}

/// A service with the memory cache, and its only caller.
async fn in_memory() -> (Service, Caller) {
    let service = Service::start(Kind::Sqlite).await;
    let caller = Caller::at(&service);
    (service, caller)
}

/// Two services with one Postgres and one Redis.
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

/// Runs a Redis command.
fn redis(redis: &Redis, args: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-u", redis.url()])
        .args(args)
        .output()
        .expect("redis-cli, which comes with Redis");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Sends a chat message; returns its id and that of its conversation.
async fn send_chat(t: &Caller) -> (String, String) {
    let message = t.ok(make::chat("", "hello")).await;
    (message.id, message.conversation_id)
}
