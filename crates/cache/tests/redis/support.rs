//! Test harness: a Redis, a tier, and a direct connection to inspect the effects of the tier.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Client, FromRedisValue};
use parlance_cache::redis::{Node, RedisSettings, RedisTier};
use parlance_cache::{Acquired, Epoch, Key, Kind, Raw, Remote, Token};
use parlance_testkit::{Redis, eventually};

pub(crate) const TTL: Duration = Duration::from_mins(5);
/// Longer than any operation takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(2);

pub(crate) const MESSAGE: Key = Key::new(Kind::Message, 0x0192_f0c1_2345_7abc_8def_0123_4567_89ab);
pub(crate) const LIST: Key = Key::new(Kind::Messages, 0x0192_f0c1_2345_7abc_8def_0123_4567_89ac);
pub(crate) const A: Token = Token(0xa);
pub(crate) const B: Token = Token(0xb);
pub(crate) const C: Token = Token(0xc);

pub(crate) struct Harness {
    pub(crate) redis: Redis,
    pub(crate) tier: Arc<RedisTier>,
    pub(crate) epoch: Epoch,
    pub(crate) direct: MultiplexedConnection,
}

/// Settings with a time-out for a busy machine; tests of the time-out set their own.
pub(crate) fn settings(url: &str) -> RedisSettings {
    let mut settings = RedisSettings::new(Node::Single(url.to_owned()));
    settings.timeout = Duration::from_secs(10);
    settings
}

pub(crate) async fn harness() -> Harness {
    harness_with(|_| {}).await
}

pub(crate) async fn harness_with(change: impl FnOnce(&mut RedisSettings)) -> Harness {
    let redis = Redis::start();
    let mut settings = settings(redis.url());
    change(&mut settings);
    let tier = RedisTier::connect(&settings).unwrap();
    let epoch = epoch(&tier, 7).await;
    let direct = direct(redis.url()).await;
    Harness {
        redis,
        tier,
        epoch,
        direct,
    }
}

/// Epoch of the process that answers now.
pub(crate) async fn epoch(tier: &RedisTier, number: i64) -> Epoch {
    let remote = eventually(LONG, async || tier.identity().await.ok()).await;
    Epoch { number, remote }
}

pub(crate) async fn direct(url: &str) -> MultiplexedConnection {
    let client = Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

impl Harness {
    /// Sends one command, as in `redis-cli`.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut self.direct.clone()).await.unwrap()
    }

    /// Tokens in the lease of a key.
    pub(crate) async fn lease(&self, key: Key) -> Vec<String> {
        self.ask(&["ZRANGE", &key.lease(), "0", "-1"]).await
    }

    pub(crate) async fn exists(&self, key: Key) -> bool {
        self.ask(&["EXISTS", &key.to_string()]).await
    }

    pub(crate) async fn list(&self, key: Key) -> Vec<String> {
        self.ask(&["LRANGE", &key.to_string(), "0", "-1"]).await
    }

    /// Makes a token expire on the server's clock.
    pub(crate) async fn expire(&self, key: Key, member: &str) {
        self.ask::<i64>(&["ZADD", &key.lease(), "XX", "CH", "1", member])
            .await;
    }

    pub(crate) async fn acquire(&self, key: Key, token: Token) -> Acquired {
        self.tier
            .acquire(key, &self.epoch, token, None)
            .await
            .unwrap()
    }

    pub(crate) async fn fill(&self, key: Key, token: Token, value: &Raw) -> bool {
        self.tier
            .fill(key, &self.epoch, token, value, TTL)
            .await
            .unwrap()
    }

    /// Fills a key as a reader does, without interference.
    pub(crate) async fn filled(&self, key: Key, value: &Raw) {
        assert_eq!(self.acquire(key, Token(0xf111)).await, Acquired::Granted);
        assert!(self.fill(key, Token(0xf111), value).await);
    }

    pub(crate) async fn get(&self, key: Key) -> Option<Raw> {
        self.tier.get(key, &self.epoch).await.unwrap()
    }
}

pub(crate) fn one(text: &'static str) -> Raw {
    Raw::One(Bytes::from_static(text.as_bytes()))
}

pub(crate) fn reader(token: Token) -> String {
    format!("r:{token}")
}

pub(crate) fn writer(token: Token) -> String {
    format!("w:{token}")
}
