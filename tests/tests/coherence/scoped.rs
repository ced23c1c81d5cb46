//! Lists, statistics and searches under load: counts that only grow, and must not lag behind acknowledged writes.
//!
//! Each user has one conversation, and each message increments its sequence; so the list's `message_count`, the
//! statistics and the newest result of a search are the same number: the user's version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::history::{Key, Log, Recorder};
use parlance_testkit::{Builder, eventually, torture};
use parlance_tests::{Caller, Rpc, make};
use tonic::Request;

use crate::cluster::{Cluster, INSTANCES, exclusive};
use crate::dice::Dice;
use crate::faults::{
    disconnect, disconnect_from_database, flush, lose_redis, lose_replies, promote, rounds, stop,
};
use crate::load::RunningLoad;
use crate::outcome::{Counts, Outcome};

const USERS: u32 = 6;
/// Readers at each instance, besides one writer.
const READERS: usize = 3;
/// Maximum pauses of readers and writers, in milliseconds.
const READER_PAUSE: u64 = 6;
const WRITER_PAUSE: u64 = 60;
const TIME_OUT: Duration = Duration::from_mins(2);

/// A user, its conversation, and the key of its version.
struct UserChat {
    user: String,
    conversation: String,
    key: Key,
}

struct Shared {
    chats: Vec<UserChat>,
    stop: AtomicBool,
    /// Reads, cache hits and writes at each instance.
    reads: [AtomicUsize; INSTANCES],
    hits: [AtomicUsize; INSTANCES],
    writes: [AtomicUsize; INSTANCES],
    counts: Counts,
}

struct Client {
    shared: Arc<Shared>,
    log: Log,
    instance: usize,
    caller: Caller,
    dice: Dice,
}

fn number(value: i64) -> u64 {
    u64::try_from(value).expect("counts are not negative")
}

fn counted(list: &v1::ListConversationsResponse) -> u64 {
    let conversations = list.conversations.iter();
    conversations.map(|c| number(c.message_count)).sum()
}

fn newest(found: &v1::SearchMessagesResponse) -> u64 {
    let messages = found.results.iter().filter_map(|one| one.message.as_ref());
    number(messages.map(|message| message.sequence).max().unwrap_or(0))
}

impl Client {
    async fn think(&mut self, most: u64) -> bool {
        let think = Duration::from_micros(self.dice.below(most * 1000));
        tokio::time::sleep(think).await;
        !self.shared.stop.load(Ordering::Relaxed)
    }

    /// Makes a call and counts its result. A refused call is not recorded as a read.
    async fn call<R: Rpc>(&self, request: R) -> Option<R::Reply> {
        match self.caller.call_with(Request::new(request)).await {
            Ok(response) => {
                if let Some(tier) = response.metadata().get("x-parlance-cache") {
                    let tier = tier.to_str().unwrap_or("none");
                    let is_hit = usize::from(tier == "redis");
                    self.shared.reads[self.instance].fetch_add(1, Ordering::Relaxed);
                    self.shared.hits[self.instance].fetch_add(is_hit, Ordering::Relaxed);
                    self.shared.counts.answered(tier);
                }
                Some(response.into_inner())
            }
            Err(status) => {
                self.shared.counts.refused(&status);
                None
            }
        }
    }

    async fn read_on(mut self) {
        while self.think(READER_PAUSE).await {
            let chat = self.dice.index(self.shared.chats.len());
            let UserChat { user, key, .. } = &self.shared.chats[chat];
            let (user, key) = (user.clone(), *key);
            let begun = self.log.begin_read();
            let read = match self.dice.below(4) {
                0 => {
                    self.read_all_users().await;
                    None
                }
                1 => {
                    let list = v1::ListConversationsRequest {
                        user,
                        ..Default::default()
                    };
                    self.call(list).await.as_ref().map(counted)
                }
                2 => {
                    let stats = self.call(v1::GetStatsRequest { user }).await;
                    stats.map(|stats| number(stats.message_count))
                }
                _ => {
                    let search = v1::SearchMessagesRequest {
                        user,
                        ..make::search("hello")
                    };
                    self.call(search).await.as_ref().map(newest)
                }
            };
            if let Some(version) = read {
                self.log.read(begun, key, version);
            }
        }
    }

    /// Reads the owner's list, which has the conversations of all users.
    async fn read_all_users(&mut self) {
        let begun = self.log.begin_read();
        let list = v1::ListConversationsRequest::default();
        let Some(all) = self.call(list).await else {
            return;
        };
        for chat in &self.shared.chats {
            let shown = all.conversations.iter().find(|c| c.id == chat.conversation);
            let version = shown.map_or(0, |shown| number(shown.message_count));
            self.log.read(begun, chat.key, version);
        }
    }

    async fn write_on(mut self) {
        while self.think(WRITER_PAUSE).await {
            let chat = self.dice.index(self.shared.chats.len());
            let UserChat {
                conversation, key, ..
            } = &self.shared.chats[chat];
            let send = make::reply(conversation, "hello");
            let write = self.log.begin_write(*key);
            let began = Instant::now();
            if let Some(message) = self.call(send).await {
                self.log.acknowledged(&write, number(message.sequence));
                self.shared.counts.wrote(began.elapsed());
                self.shared.writes[self.instance].fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Sends the first message of each user.
async fn begin(caller: &Caller, log: &mut Log) -> Vec<UserChat> {
    let mut chats = Vec::new();
    for key in 0..USERS {
        let user = format!("user-{key}");
        let write = log.begin_write(key);
        let first = v1::SendMessageRequest {
            user: user.clone(),
            ..make::chat(&user, "hello")
        };
        let first = caller.ok(first).await;
        log.acknowledged(&write, number(first.sequence));
        chats.push(UserChat {
            user,
            conversation: first.conversation_id,
            key,
        });
    }
    chats
}

/// Runs a load for as long as `during` takes.
async fn load(cluster: &Cluster, name: &str, during: impl AsyncFnOnce(&Shared)) -> Outcome {
    let recorder = Recorder::new();
    let callers = cluster.callers("scoped");
    let shared = Arc::new(Shared {
        chats: begin(&callers[0], &mut recorder.log()).await,
        stop: AtomicBool::new(false),
        reads: Default::default(),
        hits: Default::default(),
        writes: Default::default(),
        counts: Counts::default(),
    });
    let (seed, started) = (parlance_testkit::seed(), Instant::now());
    let mut tasks = Vec::new();
    for (instance, caller) in callers.iter().enumerate() {
        for number in 0..=READERS {
            let client = Client {
                shared: Arc::clone(&shared),
                log: recorder.log(),
                instance,
                caller: caller.clone(),
                dice: Dice::new(seed.wrapping_add((instance * 100 + number) as u64)),
            };
            tasks.push(if number < READERS {
                tokio::spawn(client.read_on())
            } else {
                tokio::spawn(client.write_on())
            });
        }
    }
    during(&shared).await;
    shared.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a client that does not panic");
    }
    let report = recorder.finish().check();
    let took = started.elapsed();
    let outcome = shared.counts.outcome(name, (seed, took), report);
    outcome.print();
    outcome
}

fn now(counts: &[AtomicUsize]) -> Vec<usize> {
    let counts = counts.iter();
    counts.map(|count| count.load(Ordering::Relaxed)).collect()
}

fn grew(before: &[usize], counts: &[AtomicUsize], by: usize) -> bool {
    let mut both = before.iter().zip(now(counts));
    both.all(|(before, now)| now >= before + by)
}

impl Shared {
    /// Waits for further hits and writes at every instance.
    async fn until_progress(&self, hits: usize, writes: usize) {
        let before = (now(&self.hits), now(&self.writes));
        eventually(TIME_OUT, async || {
            let all = grew(&before.0, &self.hits, hits) && grew(&before.1, &self.writes, writes);
            all.then_some(())
        })
        .await;
    }
}

impl RunningLoad for Shared {
    async fn until_answered(&self, instance: usize, reads: usize, writes: usize) {
        let (read, written) = (
            &self.reads[instance..=instance],
            &self.writes[instance..=instance],
        );
        let before = (now(read), now(written));
        eventually(TIME_OUT, async || {
            let both = grew(&before.0, read, reads) && grew(&before.1, written, writes);
            both.then_some(())
        })
        .await;
    }

    async fn until_warm(&self) {
        self.until_progress(30, 0).await;
    }
}

/// Also while one of three instances is disconnected from Redis: it rotates generations by way of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_never_lag_behind_acknowledged_writes() {
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let name = "lists, statistics and searches";
    let outcome = load(&cluster, name, async |load| {
        load.until_progress(100, 20).await;
        cluster.proxies[1].cut();
        load.until_answered(1, 0, 3).await;
        cluster.proxies[1].heal();
        load.until_progress(100, 20).await;
    })
    .await;
    outcome.assert_fresh();
}

/// The same during all other faults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_never_lag_during_faults() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let name = "lists, statistics and searches, all faults";
    let outcome = load(&cluster, name, async |load| {
        rounds(async |_| {
            disconnect(&cluster, load).await;
            lose_replies(&cluster, load).await;
            flush(&cluster, load).await;
            lose_redis(&cluster, load).await;
            promote(&cluster, load).await;
            stop(&cluster, load).await;
            disconnect_from_database(&cluster, load).await;
        })
        .await;
    })
    .await;
    outcome.assert_fresh();
}

/// Without the rotation of generations they lag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_generations_counts_lag() {
    let _running = exclusive().await;
    let weak = |builder: Builder| {
        let weakened = env!("CARGO_BIN_EXE_weakened");
        builder.binary(weakened).arg("generation")
    };
    let cluster = Cluster::start(weak).await;
    let name = "responses that no write invalidates";
    let outcome = load(&cluster, name, async |load| {
        load.until_progress(100, 20).await;
    })
    .await;
    assert!(!outcome.broken().is_empty(), "{outcome}");
}
