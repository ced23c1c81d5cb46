//! Lists, statistics and searches under load: counts that only grow, which nobody may see lag behind what was acknowledged.
//!
//! Each user has one conversation, and each message raises its sequence by one; so the list's `message_count`, the statistics and
//! the newest that a search finds are one number, the user's version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::history::{Key, Log, Recorder};
use parlance_testkit::{Builder, eventually, torture};
use parlance_tests::{Caller, Rpc, make};
use tonic::Request;

use crate::cluster::{Cluster, INSTANCES, turn};
use crate::dice::Dice;
use crate::faults::{
    cut_from_database, cut_off, flush, lose_redis, lose_replies, promote, rounds, stop,
};
use crate::load::Busy;
use crate::outcome::{Counts, Outcome};

const USERS: u32 = 6;
/// At each instance. One more writes.
const READERS: usize = 3;
/// Milliseconds, at most.
const READER_THINKS: u64 = 6;
const WRITER_THINKS: u64 = 60;
const PATIENCE: Duration = Duration::from_mins(2);

/// A user, the conversation it has, and the key of its version.
struct Talk {
    user: String,
    conversation: String,
    key: Key,
}

struct Shared {
    talks: Vec<Talk>,
    stop: AtomicBool,
    /// At each instance: what was read, what of it the cache answered, and what was written.
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
    async fn thinks(&mut self, most: u64) -> bool {
        let think = Duration::from_micros(self.dice.below(most * 1000));
        tokio::time::sleep(think).await;
        !self.shared.stop.load(Ordering::Relaxed)
    }

    /// What is refused, for whatever reason, is nothing that was seen.
    async fn ask<R: Rpc>(&self, request: R) -> Option<R::Reply> {
        match self.caller.ask_with(Request::new(request)).await {
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
        while self.thinks(READER_THINKS).await {
            let talk = self.dice.index(self.shared.talks.len());
            let Talk { user, key, .. } = &self.shared.talks[talk];
            let (user, key) = (user.clone(), *key);
            let begun = self.log.begin_read();
            let read = match self.dice.below(4) {
                0 => {
                    self.read_everybodys().await;
                    None
                }
                1 => {
                    let list = v1::ListConversationsRequest {
                        user,
                        ..Default::default()
                    };
                    self.ask(list).await.as_ref().map(counted)
                }
                2 => {
                    let stats = self.ask(v1::GetStatsRequest { user }).await;
                    stats.map(|stats| number(stats.message_count))
                }
                _ => {
                    let search = v1::SearchMessagesRequest {
                        user,
                        ..make::search("hello")
                    };
                    self.ask(search).await.as_ref().map(newest)
                }
            };
            if let Some(version) = read {
                self.log.read(begun, key, version);
            }
        }
    }

    /// The owner's own list has all of them.
    async fn read_everybodys(&mut self) {
        let begun = self.log.begin_read();
        let list = v1::ListConversationsRequest::default();
        let Some(all) = self.ask(list).await else {
            return;
        };
        for talk in &self.shared.talks {
            let shown = all.conversations.iter().find(|c| c.id == talk.conversation);
            let version = shown.map_or(0, |shown| number(shown.message_count));
            self.log.read(begun, talk.key, version);
        }
    }

    async fn write_on(mut self) {
        while self.thinks(WRITER_THINKS).await {
            let talk = self.dice.index(self.shared.talks.len());
            let Talk {
                conversation, key, ..
            } = &self.shared.talks[talk];
            let send = make::reply(conversation, "hello");
            let write = self.log.begin_write(*key);
            let asked = Instant::now();
            if let Some(message) = self.ask(send).await {
                self.log.acknowledged(&write, number(message.sequence));
                self.shared.counts.wrote(asked.elapsed());
                self.shared.writes[self.instance].fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Each user says something.
async fn begin(caller: &Caller, log: &mut Log) -> Vec<Talk> {
    let mut talks = Vec::new();
    for key in 0..USERS {
        let user = format!("user-{key}");
        let write = log.begin_write(key);
        let first = v1::SendMessageRequest {
            user: user.clone(),
            ..make::chat(&user, "hello")
        };
        let first = caller.ok(first).await;
        log.acknowledged(&write, number(first.sequence));
        talks.push(Talk {
            user,
            conversation: first.conversation_id,
            key,
        });
    }
    talks
}

/// Everybody at work, as long as it takes.
async fn load(cluster: &Cluster, name: &str, during: impl AsyncFnOnce(&Shared)) -> Outcome {
    let recorder = Recorder::new();
    let callers = cluster.callers("scoped");
    let shared = Arc::new(Shared {
        talks: begin(&callers[0], &mut recorder.log()).await,
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
    outcome.tell();
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
    /// Waits for some more hits and writes at every instance.
    async fn goes_on(&self, hits: usize, writes: usize) {
        let before = (now(&self.hits), now(&self.writes));
        eventually(PATIENCE, async || {
            let all = grew(&before.0, &self.hits, hits) && grew(&before.1, &self.writes, writes);
            all.then_some(())
        })
        .await;
    }
}

impl Busy for Shared {
    async fn answers(&self, instance: usize, reads: usize, writes: usize) {
        let (read, written) = (
            &self.reads[instance..=instance],
            &self.writes[instance..=instance],
        );
        let before = (now(read), now(written));
        eventually(PATIENCE, async || {
            let both = grew(&before.0, read, reads) && grew(&before.1, written, writes);
            both.then_some(())
        })
        .await;
    }

    async fn is_warm(&self) {
        self.goes_on(30, 0).await;
    }
}

/// Also while one of three is cut off from Redis: its writes end generations by way of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_never_lag_behind_what_was_acknowledged() {
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let name = "lists, statistics and searches";
    let outcome = load(&cluster, name, async |load| {
        load.goes_on(100, 20).await;
        cluster.proxies[1].cut();
        load.answers(1, 0, 3).await;
        cluster.proxies[1].heal();
        load.goes_on(100, 20).await;
    })
    .await;
    outcome.assert_fresh();
}

/// Nor while anything else fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_never_lag_whatever_fails() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let name = "lists, statistics and searches, all faults";
    let outcome = load(&cluster, name, async |load| {
        rounds(async |_| {
            cut_off(&cluster, load).await;
            lose_replies(&cluster, load).await;
            flush(&cluster, load).await;
            lose_redis(&cluster, load).await;
            promote(&cluster, load).await;
            stop(&cluster, load).await;
            cut_from_database(&cluster, load).await;
        })
        .await;
    })
    .await;
    outcome.assert_fresh();
}

/// It is the generations that hold it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_generations_they_do() {
    let _turn = turn().await;
    let weak = |builder: Builder| {
        let weakened = env!("CARGO_BIN_EXE_weakened");
        builder.binary(weakened).arg("generation")
    };
    let cluster = Cluster::start(weak).await;
    let name = "answers that no write ends";
    let outcome = load(&cluster, name, async |load| load.goes_on(100, 20).await).await;
    assert!(!outcome.broken().is_empty(), "{outcome}");
}
