//! Slots that move while keys are read and written: an error or a correct answer, never a wrong fill.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deadpool_redis::redis::{self, RedisResult};
use parlance_cache::redis::RedisTier;
use parlance_cache::{Acquired, Epoch, Fault, Fence, Key, Kind, Raw, Release, Remote, Token};
use parlance_testkit::{RedisCluster, eventually};

use super::cluster::connect;
use super::support::{A, B, LONG, MESSAGE, TTL, direct, one};

/// Slot of a key, which tests move between nodes.
struct Slot<'a> {
    cluster: &'a RedisCluster,
    number: u16,
    at: usize,
}

impl<'a> Slot<'a> {
    fn of(cluster: &'a RedisCluster, key: Key) -> Self {
        let slot = cluster.ask(0, &format!("CLUSTER KEYSLOT {key}"));
        let served = |node: &usize| !cluster.ask(*node, &format!("TTL {key}")).starts_with('-');
        Self {
            cluster,
            number: slot.trim_start_matches(':').parse().unwrap(),
            at: (0..3).find(served).unwrap(),
        }
    }

    fn set(&self, node: usize, what: &str) {
        let command = format!("CLUSTER SETSLOT {} {what}", self.number);
        assert_eq!(self.cluster.ask(node, &command), "OK");
    }

    fn begin(&self, to: usize) {
        self.set(to, &format!("IMPORTING {}", self.cluster.id(self.at)));
        self.set(self.at, &format!("MIGRATING {}", self.cluster.id(to)));
    }

    /// Migrates one key by itself, as all tools do: a value and its lease move at different times.
    fn migrate(&self, to: usize, name: &str) {
        let port = self.cluster.port(to);
        let migrated = self.cluster.ask(
            self.at,
            &format!("MIGRATE 127.0.0.1 {port} {name} 0 5000 REPLACE"),
        );
        assert!(migrated == "OK" || migrated == "NOKEY", "{migrated}");
    }

    /// Migrates the remaining keys of the slot.
    fn migrate_rest(&self, to: usize) {
        loop {
            let count = self
                .cluster
                .ask(self.at, &format!("CLUSTER COUNTKEYSINSLOT {}", self.number));
            if count == ":0" {
                return;
            }
            for name in [MESSAGE.to_string(), MESSAGE.lease()] {
                self.migrate(to, &name);
            }
        }
    }

    fn end(&mut self, to: usize) {
        let id = format!("NODE {}", self.cluster.id(to));
        self.set(to, &id);
        self.set(self.at, &id);
        self.at = to;
    }
}

fn refused<T>(result: &Result<T, Fault>) -> bool {
    matches!(result, Err(Fault::Refused(_)))
}

#[tokio::test]
async fn a_value_and_its_lease_on_different_nodes_are_an_error() {
    let cluster = RedisCluster::start().await;
    let (tier, epoch) = connect(&cluster).await;
    let mut slot = Slot::of(&cluster, MESSAGE);
    let (from, to) = (slot.at, (slot.at + 1) % 3);
    // A reader holds the lease when the slot begins to move.
    tier.acquire(MESSAGE, &epoch, A, None).await.unwrap();
    // The lease must outlive the test on a busy machine.
    let lease = MESSAGE.lease();
    cluster.ask(slot.at, &format!("ZADD {lease} XX 9999999999999 r:{A}"));
    cluster.ask(slot.at, &format!("PERSIST {lease}"));
    slot.begin(to);
    slot.migrate(to, &lease);
    assert!(refused(
        &tier.fill(MESSAGE, &epoch, A, &one("{v}"), TTL).await
    ));
    assert!(refused(&tier.acquire(MESSAGE, &epoch, B, None).await));
    assert!(refused(
        &tier.fence(&[(MESSAGE, Fence::Delete)], &epoch, B).await
    ));
    assert!(refused(&tier.get(MESSAGE, &epoch).await));
    for node in [from, to] {
        assert_ne!(cluster.ask(node, &format!("EXISTS {MESSAGE}")), ":1");
    }
    slot.end(to);
    // The map is read again: the moved lease is still valid.
    eventually(LONG, async || {
        let filled = tier.fill(MESSAGE, &epoch, A, &one("{v}"), TTL).await;
        assert_ne!(filled, Ok(false));
        filled.ok()
    })
    .await;
    assert_eq!(tier.get(MESSAGE, &epoch).await, Ok(Some(one("{v}"))));
    // Only the value has moved.
    tier.acquire(MESSAGE, &epoch, A, Some(&one("{v}")))
        .await
        .unwrap();
    tier.fill(MESSAGE, &epoch, A, &one("{w}"), TTL)
        .await
        .unwrap();
    slot.begin(from);
    assert_eq!(tier.get(MESSAGE, &epoch).await, Ok(Some(one("{w}"))));
    assert!(refused(
        &tier.fence(&[(MESSAGE, Fence::Delete)], &epoch, B).await
    ));
    let release = [(MESSAGE, Release::Delete)];
    assert!(refused(&tier.release(&release, &epoch, B).await));
    slot.migrate_rest(from);
    slot.end(from);
    eventually(LONG, async || tier.release(&release, &epoch, B).await.ok()).await;
    assert_eq!(tier.get(MESSAGE, &epoch).await, Ok(None));
    assert_eq!(tier.identity().await, Ok(epoch.remote));
}

/// Row with its version and the highest acknowledged version.
#[derive(Default)]
struct Row {
    version: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    fills: AtomicU64,
    hits: AtomicU64,
    over: AtomicBool,
}

async fn write(tier: &RedisTier, epoch: &Epoch, row: &Row, token: Token) {
    // The result does not matter: without the fence, the release deletes filled values.
    let _ = tier.fence(&[(MESSAGE, Fence::Delete)], epoch, token).await;
    let version = row.version.fetch_add(1, Ordering::SeqCst) + 1;
    // As in reconciliation: repeated until it succeeds, and acknowledged only then.
    let release = [(MESSAGE, Release::Delete)];
    while tier.release(&release, epoch, token).await.is_err() {
        row.refused.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    row.acknowledged.fetch_max(version, Ordering::SeqCst);
}

async fn read(tier: &RedisTier, epoch: &Epoch, row: &Row, token: Token) {
    let floor = row.acknowledged.load(Ordering::SeqCst);
    let check = |value: &Raw| {
        let Raw::One(text) = value else {
            panic!("{value:?}")
        };
        let version: u64 = std::str::from_utf8(text).unwrap().parse().unwrap();
        assert!(version >= floor, "read {version}, acknowledged {floor}");
        row.hits.fetch_add(1, Ordering::Relaxed);
    };
    match tier.get(MESSAGE, epoch).await {
        Ok(Some(value)) => return check(&value),
        Ok(None) => {}
        Err(_) => return,
    }
    match tier.acquire(MESSAGE, epoch, token, None).await {
        Ok(Acquired::Value(value)) => check(&value),
        Ok(Acquired::Granted) => {
            let version = row.version.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            let value = Raw::One(version.to_string().into());
            if tier.fill(MESSAGE, epoch, token, &value, TTL).await == Ok(true) {
                row.fills.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(Acquired::Busy) | Err(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_while_a_slot_moves() {
    let cluster = RedisCluster::start().await;
    let (tier, epoch) = connect(&cluster).await;
    let row = Row::default();
    let reader = async |of: u128| {
        let mut token = of << 64;
        while !row.over.load(Ordering::SeqCst) {
            token += 1;
            read(&tier, &epoch, &row, Token(token)).await;
            tokio::task::yield_now().await;
        }
    };
    let writer = async |of: u128| {
        let mut token = of << 64;
        while !row.over.load(Ordering::SeqCst) {
            token += 1;
            write(&tier, &epoch, &row, Token(token)).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    };
    let mover = async {
        let mut slot = Slot::of(&cluster, MESSAGE);
        for round in 0..40 {
            let to = (slot.at + 1 + round % 2) % 3;
            slot.begin(to);
            let names = [MESSAGE.to_string(), MESSAGE.lease()];
            slot.migrate(to, &names[round % 2]);
            // Wait until some writes find value and lease on different nodes.
            let refused = row.refused.load(Ordering::SeqCst);
            eventually(LONG, async || {
                (row.refused.load(Ordering::SeqCst) > refused + 5).then_some(())
            })
            .await;
            slot.migrate_rest(to);
            slot.end(to);
            let before = row.acknowledged.load(Ordering::SeqCst);
            // Wait until some writes succeed before the slot moves again.
            eventually(LONG, async || {
                (row.acknowledged.load(Ordering::SeqCst) > before + 5).then_some(())
            })
            .await;
        }
        row.over.store(true, Ordering::SeqCst);
    };
    tokio::join!(reader(1), reader(2), reader(3), writer(4), writer(5), mover);
    let (fills, hits) = (
        row.fills.load(Ordering::SeqCst),
        row.hits.load(Ordering::SeqCst),
    );
    assert!(fills > 20 && hits > 20, "{fills} fills, {hits} hits");
}

/// Precondition of the protocol: a node never runs a script if it holds only the value or only the lease.
#[tokio::test]
async fn the_server_refuses_a_script_with_keys_on_different_nodes() {
    let cluster = RedisCluster::start().await;
    let slot = Slot::of(&cluster, MESSAGE);
    let to = (slot.at + 1) % 3;
    cluster.ask(slot.at, &format!("SET {MESSAGE} x"));
    slot.begin(to);
    let script = |node: usize, asking: bool| {
        let url = cluster.urls()[node].clone();
        async move {
            let mut connection = direct(&url).await;
            let mut eval = redis::cmd("EVAL");
            eval.arg("return 1").arg(2);
            eval.arg(MESSAGE.to_string()).arg(MESSAGE.lease());
            if asking {
                let asked = redis::cmd("ASKING").exec_async(&mut connection).await;
                asked.unwrap();
            }
            let result: RedisResult<i64> = eval.query_async(&mut connection).await;
            result.unwrap_err().code().map(str::to_owned)
        }
    };
    let known = [Some("TRYAGAIN".to_owned()), Some("ASK".to_owned())];
    assert!(known.contains(&script(slot.at, false).await));
    assert_eq!(script(to, false).await.as_deref(), Some("MOVED"));
    assert_eq!(script(to, true).await.as_deref(), Some("TRYAGAIN"));
    assert_eq!(
        Key::parse(&MESSAGE.to_string()).map(Key::kind),
        Some(Kind::Message)
    );
}
