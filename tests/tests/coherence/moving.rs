//! Three services and a Redis Cluster of three masters; slots move while their keys are read and written: for a
//! while a value is on one node and its lease on another.

use parlance_testkit::{Builder, Postgres, RedisCluster, TestDatabase, torture};
use parlance_tests::{Caller, Service};

use crate::agreement::all_agree;
use crate::cluster::{DEADLINE, INSTANCES, exclusive, learn_versions};
use crate::faults::{light_load, rounds};
use crate::guards::{HOT, ROUNDS, without};
use crate::load::{CHATS, Load, Readers, RunningLoad};

const MASTERS: usize = 3;

struct Sharded {
    services: Vec<Service>,
    redis: RedisCluster,
    // Last, so that the services are dropped first.
    _database: TestDatabase,
}

impl Sharded {
    async fn start(settings: impl Fn(Builder) -> Builder) -> Self {
        let (redis, database) =
            tokio::join!(RedisCluster::start(), Postgres::shared().create_database());
        learn_versions(&redis.nodes()[0], &database).await;
        let urls = redis.urls().join(",");
        let starting = (0..INSTANCES).map(|_| {
            let (urls, settings) = (urls.clone(), &settings);
            Service::over(&database.url, move |builder| {
                settings(builder.env("REDIS_CLUSTER_URLS", urls))
            })
        });
        Self {
            services: futures_util::future::join_all(starting).await,
            redis,
            _database: database,
        }
    }

    fn callers(&self) -> Vec<Caller> {
        let at = |service| {
            Caller::as_owner(service, "acme").reconnected(|endpoint| endpoint.timeout(DEADLINE))
        };
        self.services.iter().map(at).collect()
    }

    /// Moves the slot of a hot message to the next node: first its value or its lease alone.
    async fn move_one(&self, load: &Load, number: usize) {
        let hot = load.hot_messages();
        let key = format!("message:{}", hot[number % hot.len()]);
        let slot = Slot::of(&self.redis, &key);
        slot.begin();
        let names = [key.clone(), format!("lease:{{{key}}}")];
        slot.migrate(&names[number % names.len()]);
        light_load(load).await;
        slot.migrate_rest().await;
        slot.end();
        load.until_warm().await;
    }
}

/// A slot, with its current and next node.
struct Slot<'a> {
    redis: &'a RedisCluster,
    number: String,
    from: usize,
    to: usize,
}

impl<'a> Slot<'a> {
    fn of(redis: &'a RedisCluster, key: &str) -> Self {
        let slot = redis.ask(0, &format!("CLUSTER KEYSLOT {key}"));
        // The other nodes answer with a redirection.
        let is_served_by = |node: &usize| redis.ask(*node, &format!("TTL {key}")).starts_with(':');
        let from = (0..MASTERS)
            .find(is_served_by)
            .expect("a node has each slot");
        Self {
            redis,
            number: slot.trim_start_matches(':').to_owned(),
            from,
            to: (from + 1) % MASTERS,
        }
    }

    fn set(&self, node: usize, what: &str) {
        let command = format!("CLUSTER SETSLOT {} {what}", self.number);
        assert_eq!(self.redis.ask(node, &command), "OK");
    }

    fn begin(&self) {
        self.set(self.to, &format!("IMPORTING {}", self.redis.id(self.from)));
        self.set(self.from, &format!("MIGRATING {}", self.redis.id(self.to)));
    }

    /// Moves one key, as all tools do.
    fn migrate(&self, name: &str) {
        let port = self.redis.port(self.to);
        let command = format!("MIGRATE 127.0.0.1 {port} {name} 0 5000 REPLACE");
        let reply = self.redis.ask(self.from, &command);
        assert!(reply == "OK" || reply == "NOKEY", "{reply}");
    }

    /// Moves the remaining keys of the slot.
    async fn migrate_rest(&self) {
        loop {
            let names = self.names().await.expect("a node that answers");
            if names.is_empty() {
                return;
            }
            for name in names {
                self.migrate(&name);
            }
        }
    }

    async fn names(&self) -> redis::RedisResult<Vec<String>> {
        let client = redis::Client::open(self.redis.nodes()[self.from].url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd("CLUSTER");
        command.arg("GETKEYSINSLOT").arg(&self.number).arg(100);
        command.query_async(&mut connection).await
    }

    fn end(&self) {
        let id = format!("NODE {}", self.redis.id(self.to));
        for node in [self.to, self.from] {
            self.set(node, &id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_fresh_while_slots_move() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let sharded = Sharded::start(|builder| builder).await;
    let callers = sharded.callers();
    let load = Load::start(&callers, Readers::Call, CHATS).await;
    load.until_warm().await;
    let mut moved = 0;
    rounds(async |number| {
        sharded.move_one(&load, number).await;
        moved = number + 1;
    })
    .await;
    let chats = load.chats();
    let outcome = load
        .end(&format!("a Redis Cluster, {moved} slots moved"))
        .await;
    outcome.print();
    outcome.assert_fresh();
    outcome.assert_unnoticed();
    let agreed = all_agree(&callers, &chats).await;
    assert!(agreed.is_some(), "old values stay: {outcome}");
}

/// A fence or release that a node refuses, because it has only one of the value and the lease, counts as done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ignored_redirections_cause_stale_reads() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let sharded = Sharded::start(without("faults")).await;
    let callers = sharded.callers();
    let load = Load::start(&callers, Readers::Call, HOT).await;
    load.until_warm().await;
    for number in 0..ROUNDS {
        sharded.move_one(&load, number).await;
        if load.was_stale() {
            break;
        }
    }
    let outcome = load.end("slots move without the guard faults").await;
    outcome.print();
    assert!(!outcome.broken().is_empty(), "{outcome}");
}
