//! Claim of a Redis database: one holder at a time, and a marker that is never lowered.

use deadpool_redis::redis::Value;
use parlance_cache::redis::{Node, RedisSettings, RedisTier};
use parlance_cache::{Claimed, Holder, Remote as _};
use parlance_testkit::{RedisCluster, eventually};

use crate::support::{LONG, harness, harness_with, settings};

const CLAIM: &str = "parlance:claim";

fn holder(database: &str) -> Holder {
    over(database, "the server")
}

fn over(database: &str, server: &str) -> Holder {
    Holder {
        database: database.to_owned(),
        server: server.to_owned(),
    }
}

fn held(marker: Option<i64>) -> Claimed {
    Claimed::Held { marker }
}

#[tokio::test]
async fn one_holder_has_the_claim_until_it_expires() {
    let b = harness().await;
    assert_eq!(b.tier.claim(&holder("one/a")).await, Ok(held(None)));
    assert_eq!(b.tier.raise(&holder("one/a"), 5).await, Ok(true));
    let Ok(Claimed::Refused(why)) = b.tier.claim(&holder("one/b")).await else {
        panic!("another holder lives");
    };
    let address = b.redis.url().trim_start_matches("redis://");
    let address = address.trim_end_matches('/');
    assert!(
        why.contains(&format!("Redis database 0 at {address}")),
        "{why}"
    );
    assert!(
        why.contains("REDIS_DB") && why.contains("REDIS_URL"),
        "{why}"
    );
    assert_eq!(b.tier.raise(&holder("one/b"), 6).await, Ok(false));
    assert_eq!(b.tier.claim(&holder("one/a")).await, Ok(held(Some(5))));

    // The claim has expired, but no other holder has taken it over.
    b.ask::<i64>(&["HSET", CLAIM, "until", "1"]).await;
    assert_eq!(b.tier.claim(&holder("one/a")).await, Ok(held(Some(5))));
    assert!(matches!(
        b.tier.claim(&holder("one/b")).await,
        Ok(Claimed::Refused(_))
    ));
    b.ask::<i64>(&["HSET", CLAIM, "until", "1"]).await;
    assert_eq!(
        b.tier.claim(&holder("one/b")).await,
        Ok(held(None)),
        "the marker belonged to the other holder"
    );
    assert!(matches!(
        b.tier.claim(&holder("one/a")).await,
        Ok(Claimed::Refused(_))
    ));
    assert_eq!(b.tier.raise(&holder("one/a"), 7).await, Ok(false));
}

/// A copy of a database has the same identity, and would raise the same marker. After a restart the server is another one too,
/// but continues with the marker.
#[tokio::test]
async fn two_servers_of_one_database_do_not_share_a_claim() {
    let b = harness().await;
    let (one, copy) = (over("a", "one"), over("a", "copy"));
    assert_eq!(b.tier.claim(&one).await, Ok(held(None)));
    assert_eq!(b.tier.raise(&one, 5).await, Ok(true));
    assert!(matches!(b.tier.claim(&copy).await, Ok(Claimed::Refused(_))));
    assert_eq!(b.tier.raise(&copy, 6).await, Ok(false));
    b.ask::<i64>(&["HSET", CLAIM, "until", "1"]).await;
    assert_eq!(b.tier.claim(&copy).await, Ok(held(Some(5))));
    assert_eq!(b.tier.raise(&one, 6).await, Ok(false));
}

#[tokio::test]
async fn a_marker_is_never_lowered_and_lives_for_a_day() {
    let b = harness().await;
    assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(None)));
    for (number, marker) in [(0, 0), (9, 9), (3, 9), (10, 10)] {
        assert_eq!(b.tier.raise(&holder("a"), number).await, Ok(true));
        assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(Some(marker))));
    }
    let life: i64 = b.ask(&["TTL", CLAIM]).await;
    assert!(life > 23 * 3600, "{life}");
    // A lost or overwritten claim is as if there had been none.
    b.ask::<i64>(&["DEL", CLAIM]).await;
    assert_eq!(b.tier.raise(&holder("a"), 11).await, Ok(false));
    assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(None)));
    b.ask::<Value>(&["SET", CLAIM, "poison"]).await;
    assert_eq!(b.tier.raise(&holder("a"), 11).await, Ok(false));
    assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(None)));
}

#[tokio::test]
async fn each_database_number_has_its_own_claim() {
    let b = harness().await;
    let other = RedisTier::connect(&settings(&format!("{}7", b.redis.url()))).unwrap();
    assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(None)));
    assert_eq!(other.claim(&holder("b")).await, Ok(held(None)));
    let refused = other.claim(&holder("c")).await;
    let Ok(Claimed::Refused(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("Redis database 7"), "{why}");
}

/// A claim is renewed even if Redis refuses other writes.
#[tokio::test]
async fn a_claim_is_renewed_in_a_redis_that_is_out_of_memory() {
    let b = harness_with(|_| {}).await;
    assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(None)));
    b.ask::<Value>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])
        .await;
    b.ask::<Value>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(b.tier.raise(&holder("a"), 4).await, Ok(true));
    assert_eq!(b.tier.claim(&holder("a")).await, Ok(held(Some(4))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_claimed_as_a_whole() {
    let cluster = RedisCluster::start().await;
    let tier = || {
        let mut settings = RedisSettings::new(Node::Cluster(cluster.urls()));
        settings.timeout = LONG;
        RedisTier::connect(&settings).unwrap()
    };
    let (one, other) = (tier(), tier());
    let first = eventually(LONG, async || one.claim(&holder("a")).await.ok()).await;
    assert_eq!(first, held(None));
    assert_eq!(one.raise(&holder("a"), 1).await, Ok(true));
    let refused = other.claim(&holder("b")).await;
    let Ok(Claimed::Refused(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        why.contains("Redis Cluster") && why.contains("REDIS_CLUSTER_URLS"),
        "{why}"
    );
    assert_eq!(other.claim(&holder("a")).await, Ok(held(Some(1))));
}
