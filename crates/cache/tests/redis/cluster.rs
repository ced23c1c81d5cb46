//! Redis Cluster of three masters: each key at its master, and the identity of the processes.

use std::collections::BTreeSet;
use std::sync::Arc;

use parlance_cache::redis::{Node, RedisSettings, RedisTier};
use parlance_cache::{
    Acquired, BreakerState, Epoch, Fault, Fence, Key, Kind, Raw, Release, Remote, RemoteHealth as _,
};
use parlance_testkit::{ClosedPort, RedisCluster, eventually};

use super::support::{A, B, LONG, TTL, epoch, settings};

pub(crate) async fn connect(cluster: &RedisCluster) -> (Arc<RedisTier>, Epoch) {
    let mut settings = settings("");
    settings.node = Node::Cluster(cluster.urls());
    let tier = RedisTier::connect(&settings).unwrap();
    let epoch = epoch(&tier, 7).await;
    (tier, epoch)
}

fn keys() -> Vec<Key> {
    (0..60)
        .map(|id: u128| Key::new(Kind::ALL[usize::try_from(id % 2).unwrap()], id << 64 | id))
        .collect()
}

fn value(key: Key) -> Raw {
    Raw::One(key.to_string().into())
}

/// Node that serves the key.
fn node_of(cluster: &RedisCluster, key: Key) -> usize {
    let answers = |node: &usize| !cluster.ask(*node, &format!("GET {key}")).starts_with('-');
    (0..3).find(answers).unwrap()
}

#[tokio::test]
async fn every_call_goes_to_the_node_that_serves_the_key() {
    let cluster = RedisCluster::start().await;
    let (tier, epoch) = connect(&cluster).await;
    assert_eq!(epoch.remote.split(',').count(), 3);
    assert!(epoch.remote.split(',').is_sorted());
    let keys = keys();
    for key in keys.iter().step_by(2) {
        assert_eq!(
            tier.acquire(*key, &epoch, A, None).await,
            Ok(Acquired::Granted)
        );
        assert_eq!(
            tier.fill(*key, &epoch, A, &value(*key), TTL).await,
            Ok(true)
        );
    }
    let nodes: BTreeSet<usize> = keys.iter().map(|key| node_of(&cluster, *key)).collect();
    assert_eq!(nodes.len(), 3);
    let found = tier.get_many(&keys, &epoch).await.unwrap();
    for (at, (key, found)) in keys.iter().zip(found).enumerate() {
        assert_eq!(found, (at % 2 == 0).then(|| value(*key)));
    }
    let scanned: BTreeSet<Key> = tier.scan("*").await.unwrap().into_iter().collect();
    assert_eq!(scanned, keys.iter().copied().step_by(2).collect());
    assert_eq!(tier.stats().await.unwrap().keys, 30);
    let fences: Vec<_> = keys.iter().map(|key| (*key, Fence::Delete)).collect();
    tier.fence(&fences, &epoch, A).await.unwrap();
    for key in &keys {
        assert_eq!(tier.get(*key, &epoch).await, Ok(None));
        assert_eq!(
            tier.acquire(*key, &epoch, B, None).await,
            Ok(Acquired::Busy)
        );
    }
    let releases: Vec<_> = keys.iter().map(|key| (*key, Release::Delete)).collect();
    for node in 0..3 {
        cluster.ask(node, "SCRIPT FLUSH");
    }
    tier.release(&releases, &epoch, A).await.unwrap();
    for key in &keys {
        assert_eq!(
            tier.acquire(*key, &epoch, B, None).await,
            Ok(Acquired::Granted)
        );
    }
}

#[tokio::test]
async fn one_live_seed_is_enough() {
    let cluster = RedisCluster::start().await;
    let absent = ClosedPort::reserve();
    let dead = format!("redis://{}", absent.address());
    let mut settings = settings("");
    settings.node = Node::Cluster(vec![dead, cluster.urls()[1].clone()]);
    let tier = RedisTier::connect(&settings).unwrap();
    let epoch = epoch(&tier, 7).await;
    for key in keys() {
        assert_eq!(tier.get(key, &epoch).await, Ok(None));
    }
    assert!(tier.reachable());
}

#[tokio::test]
async fn a_dead_node_affects_only_its_keys_and_restarts_as_another_process() {
    let cluster = RedisCluster::start().await;
    let (tier, epoch_before) = connect(&cluster).await;
    let keys = keys();
    let nodes: Vec<usize> = keys.iter().map(|key| node_of(&cluster, *key)).collect();
    cluster.nodes()[0].kill9();
    let of = |node: usize| {
        let at = nodes.iter().position(|serving| *serving == node).unwrap();
        keys[at]
    };
    for node in [1, 2] {
        assert_eq!(tier.get(of(node), &epoch_before).await, Ok(None));
    }
    let lost = tier.get(of(0), &epoch_before).await;
    assert!(matches!(lost, Err(Fault::Away(_))), "{lost:?}");
    // A write with keys of all three nodes fails as a whole.
    let fences: Vec<_> = keys.iter().map(|key| (*key, Fence::Delete)).collect();
    assert!(tier.fence(&fences, &epoch_before, A).await.is_err());
    // The identity of the cluster is unknown while a master is down.
    assert!(tier.identity().await.is_err());
    cluster.nodes()[0].restart().await;
    cluster.formed().await;
    let new = epoch(&tier, 8).await;
    assert_ne!(new.remote, epoch_before.remote);
    for (key, node) in keys.iter().zip(&nodes) {
        let before = tier.get(*key, &epoch_before).await;
        assert_eq!(before.is_err(), *node == 0, "{before:?}");
        assert!(tier.get(*key, &new).await.is_ok());
    }
    assert_eq!(tier.get(of(0), &epoch_before).await, Err(Fault::Elsewhere));
}

/// The client library's cluster connection would continue with the replica without an error.
#[tokio::test]
async fn a_promoted_replica_refuses_the_epoch_before() {
    let mut cluster = RedisCluster::start().await;
    let replica = cluster.add_replica(0).await;
    let (tier, before) = connect(&cluster).await;
    let key = keys()
        .into_iter()
        .find(|key| node_of(&cluster, *key) == 0)
        .unwrap();
    tier.acquire(key, &before, A, None).await.unwrap();
    tier.fill(key, &before, A, &value(key), TTL).await.unwrap();
    eventually(LONG, async || {
        let size = cluster.ask(replica, "DBSIZE");
        (size == ":1").then_some(())
    })
    .await;
    cluster.nodes()[0].kill9();
    let answered = cluster.ask(replica, "CLUSTER FAILOVER TAKEOVER");
    assert_eq!(answered, "OK");
    eventually(LONG, async || {
        let answer = tier.get(key, &before).await;
        assert!(answer.is_err(), "{answer:?}");
        (answer == Err(Fault::Elsewhere)).then_some(())
    })
    .await;
    let new = epoch(&tier, 8).await;
    assert_ne!(new.remote, before.remote);
    assert_eq!(tier.get(key, &new).await, Ok(Some(value(key))));
    assert_eq!(tier.get(key, &before).await, Err(Fault::Elsewhere));
}

#[tokio::test]
async fn the_breaker_opens_for_a_hanging_cluster_and_closes_again() {
    let cluster = RedisCluster::start().await;
    let mut short = RedisSettings::new(Node::Cluster(cluster.urls()));
    short.connections = 1;
    let tier = RedisTier::connect(&short).unwrap();
    let epoch = epoch(&tier, 7).await;
    for node in cluster.nodes() {
        node.pause();
    }
    let key = keys()[0];
    eventually(LONG, async || {
        let answer = tier.get(key, &epoch).await;
        assert!(answer.is_err());
        (answer == Err(Fault::Open)).then_some(())
    })
    .await;
    for node in cluster.nodes() {
        node.resume();
    }
    eventually(LONG, async || {
        (tier.breaker() == BreakerState::Closed).then_some(())
    })
    .await;
    eventually(LONG, async || tier.get(key, &epoch).await.ok()).await;
}
