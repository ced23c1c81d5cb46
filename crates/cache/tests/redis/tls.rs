//! TLS: trusted and untrusted servers.

use parlance_cache::redis::{BadSettings, InvalidationConnection, RedisSettings, RedisTier};
use parlance_cache::{Acquired, Fault, InvalidationHandler, Key, Remote, RemoteId, Tracking};
use parlance_testkit::{Redis, eventually};
use tokio::time::Instant;

use super::support::{A, LONG, MESSAGE, epoch, settings};

struct IgnoringHandler;

impl InvalidationHandler for IgnoringHandler {
    fn live(&self) {}
    fn changed(&self, _: Key) {}
    fn lost(&self) {}
}

#[tokio::test]
async fn a_private_certificate_authority_is_accepted() {
    let redis = Redis::start_tls();
    let mut ours = settings(redis.url());
    ours.ca_file = Some(redis.ca_file());
    let tier = RedisTier::connect(&ours).unwrap();
    let epoch = epoch(&tier, 1).await;
    let acquired = tier.acquire(MESSAGE, &epoch, A, None).await;
    assert_eq!(acquired, Ok(Acquired::Granted));
    let track = InvalidationConnection::new(&ours).unwrap();
    track.listen(std::sync::Arc::new(IgnoringHandler));
    eventually(LONG, async || {
        track.barrier(Instant::now()).await.then_some(())
    })
    .await;
    assert_eq!(track.identity(), Some(epoch.remote));
}

/// Result of the first call. Time-outs are retried, because only an answer counts.
async fn refusal(settings: &RedisSettings) -> Result<RemoteId, Fault> {
    eventually(LONG, async || {
        let ended = RedisTier::connect(settings).unwrap().identity().await;
        (ended != Err(Fault::Slow)).then_some(ended)
    })
    .await
}

#[tokio::test]
async fn an_untrusted_server_is_refused() {
    let (redis, other) = (Redis::start_tls(), Redis::start_tls());
    // The public authorities, and another private one.
    for ca_file in [None, Some(other.ca_file())] {
        let mut theirs = settings(redis.url());
        theirs.ca_file = ca_file;
        let refused = refusal(&theirs).await;
        assert!(matches!(refused, Err(Fault::Away(_))), "{refused:?}");
    }
    // The host name is checked too.
    let elsewhere = redis.url().replace("127.0.0.1", "localhost");
    let mut ours = settings(&elsewhere);
    ours.ca_file = Some(redis.ca_file());
    let refused = refusal(&ours).await;
    assert!(matches!(refused, Err(Fault::Away(_))), "{refused:?}");
}

#[tokio::test]
async fn unused_or_unreadable_authorities_are_an_error() {
    let redis = Redis::start_tls();
    let mut plain = settings(&redis.url().replace("rediss", "redis"));
    plain.ca_file = Some(redis.ca_file());
    assert!(matches!(
        RedisTier::connect(&plain),
        Err(BadSettings::Plain)
    ));
    let mut empty = settings(redis.url());
    empty.ca_file = Some(redis.dir().join("stdout"));
    let empty = RedisTier::connect(&empty);
    assert!(matches!(empty, Err(BadSettings::Authorities(..))));
}
