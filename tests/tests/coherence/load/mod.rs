//! Readers and writers at every instance, who think at random and write down what they see.
//!
//! A third of the conversations are text messages, which the dispatcher hands over and reports about meanwhile, and which are
//! received, too; and from a third messages are deleted.

mod chat;
mod reads;
mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlance_testkit::eventually;
use parlance_testkit::history::{Log, Recorder};
use parlance_tests::{Caller, Rpc};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

use chat::{Chat, Hot, Kind};

use crate::agreement::Named;
use crate::dice::Dice;
use crate::outcome::{Counts, Outcome};

/// Each is a conversation, the number of its messages, its list, and its newest messages: 200 hot keys.
pub(crate) const CHATS: usize = 33;
const MESSAGES: usize = 3;
/// At each instance. One more writes.
const READERS: usize = 4;
/// Milliseconds, at most.
const THINK: u64 = 8;
/// How many messages the cached list holds, and a page.
const NEWEST: usize = 50;
/// So many hits at an instance, and its cache is in use.
const WARM: usize = 50;
/// In nothing that anybody of ours has written.
pub(crate) const CANARY: &str = "of another owner";
/// What a scenario waits for has come by then.
const PATIENCE: Duration = Duration::from_mins(2);

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Asks each time.
    Ask,
    /// Keeps the first answer about a message and believes in it: what a cache would be that nobody tells of writes.
    Hoard,
}

/// What all tasks share.
struct Shared {
    chats: Vec<Chat>,
    next_key: AtomicU32,
    stop: AtomicBool,
    /// The chat of the last write: where a stale value would be.
    latest: AtomicUsize,
    /// Answered at each instance.
    reads: Vec<AtomicUsize>,
    writes: Vec<AtomicUsize>,
    /// Reads that the cache answered.
    hits: Vec<AtomicUsize>,
    counts: Counts,
}

/// A load that goes on.
pub(crate) struct Load {
    shared: Arc<Shared>,
    recorder: Recorder,
    tasks: Vec<JoinHandle<()>>,
    seed: u64,
    started: Instant,
}

/// An answer was a number that cannot be one.
fn number(value: i64) -> u64 {
    u64::try_from(value).expect("versions and sequences count from 1")
}

/// Clients at work, as faults see them.
pub(crate) trait Busy {
    /// Waits until an instance has answered as many more reads, and so many more writes.
    async fn answers(&self, instance: usize, reads: usize, writes: usize);

    /// Waits until the cache has answered some more reads at every instance: it is in use, and there is something in it.
    async fn is_warm(&self);
}

impl Busy for Load {
    async fn answers(&self, instance: usize, reads: usize, writes: usize) {
        let now = |counts: &[AtomicUsize]| counts[instance].load(Ordering::Relaxed);
        let reads = now(&self.shared.reads) + reads;
        let writes = now(&self.shared.writes) + writes;
        eventually(PATIENCE, async || {
            (now(&self.shared.reads) >= reads && now(&self.shared.writes) >= writes).then_some(())
        })
        .await;
    }

    async fn is_warm(&self) {
        let all: Vec<usize> = (0..self.shared.hits.len()).collect();
        self.is_warm_at(&all).await;
    }
}

impl Load {
    /// New conversations, and everybody at work on them.
    pub(crate) async fn start(callers: &[Caller], readers: Readers, count: usize) -> Self {
        let recorder = Recorder::new();
        let mut log = recorder.log();
        let next_key = AtomicU32::new(0);
        let mut chats = Vec::new();
        // At the first: the others may have to wait for it with every write.
        let caller = &callers[0];
        for number in 0..count {
            chats.push(Chat::make(caller, Kind::of(number), &next_key, &mut log).await);
        }
        drop(log);
        let counters = || callers.iter().map(|_| AtomicUsize::new(0)).collect();
        let shared = Arc::new(Shared {
            chats,
            next_key,
            stop: AtomicBool::new(false),
            latest: AtomicUsize::new(0),
            reads: counters(),
            writes: counters(),
            hits: counters(),
            counts: Counts::default(),
        });
        let seed = parlance_testkit::seed();
        let mut load = Self {
            shared,
            recorder,
            tasks: Vec::new(),
            seed,
            started: Instant::now(),
        };
        for (instance, caller) in callers.iter().enumerate() {
            for number in 0..=READERS {
                let client = load.client(instance, number, caller.clone());
                load.tasks.push(if number < READERS {
                    tokio::spawn(client.read_on(readers))
                } else {
                    tokio::spawn(client.write_on())
                });
            }
        }
        load
    }

    fn client(&self, instance: usize, number: usize, caller: Caller) -> Client {
        let own = (instance * 100 + number) as u64;
        Client {
            shared: Arc::clone(&self.shared),
            log: self.recorder.log(),
            instance,
            caller,
            dice: Dice::new(self.seed.wrapping_add(own)),
        }
    }

    /// Waits until the cache of these is warm.
    pub(crate) async fn is_warm_at(&self, instances: &[usize]) {
        let now = || {
            let hits = instances
                .iter()
                .map(|instance| &self.shared.hits[*instance]);
            hits.map(|hits| hits.load(Ordering::Relaxed))
        };
        let before: Vec<usize> = now().collect();
        eventually(PATIENCE, async || {
            let mut both = before.iter().zip(now());
            both.all(|(before, now)| now >= before + WARM).then_some(())
        })
        .await;
    }

    /// Whether something stale was read: of rows, which can be said at once.
    pub(crate) fn was_stale(&self) -> bool {
        self.recorder.so_far().stale > 0 || self.shared.counts.leaks() > 0
    }

    /// How old the oldest was, of rows.
    pub(crate) fn stalest(&self) -> Duration {
        self.recorder.so_far().stalest
    }

    /// The conversations.
    pub(crate) fn chats(&self) -> Vec<Named> {
        self.shared.chats.iter().map(|c| c.named.clone()).collect()
    }

    /// The newest message of every conversation.
    pub(crate) fn hot_messages(&self) -> Vec<String> {
        let hot = |chat: &Chat| chat.messages().front().map(|hot| hot.id.clone());
        self.shared.chats.iter().filter_map(hot).collect()
    }

    /// Everybody ends, and what they saw is checked.
    pub(crate) async fn end(self, name: &str) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a client that does not panic");
        }
        let took = self.started.elapsed();
        let report = self.recorder.finish().check();
        self.shared.counts.outcome(name, (self.seed, took), report)
    }
}

/// One task.
struct Client {
    shared: Arc<Shared>,
    log: Log,
    instance: usize,
    caller: Caller,
    dice: Dice,
}

impl Client {
    async fn think(&mut self) -> bool {
        let think = Duration::from_micros(self.dice.below(THINK * 1000));
        tokio::time::sleep(think).await;
        !self.shared.stop.load(Ordering::Relaxed)
    }

    fn chat(&mut self) -> usize {
        self.dice.index(self.shared.chats.len())
    }

    fn hot(&mut self, chat: usize) -> Option<Hot> {
        let which = self.dice.index(MESSAGES);
        self.shared.chats[chat].messages().get(which).cloned()
    }

    /// Asks and counts; what is refused, for whatever reason, is nothing that was seen.
    async fn ask<R: Rpc>(&self, request: R) -> Option<R::Reply> {
        let answer = self.attempt(request).await;
        answer
            .map_err(|status| self.shared.counts.refused(&status))
            .ok()
    }

    /// Asks about a message, which may be gone: that is something that was seen.
    async fn ask_about<R: Rpc>(&mut self, hot: &Hot, request: R) -> Option<R::Reply> {
        let begun = self.log.begin_read();
        match self.attempt(request).await {
            Ok(reply) => Some(reply),
            Err(status) if status.code() == Code::NotFound => {
                self.log.read(begun, hot.gone, chat::GONE);
                None
            }
            Err(status) => {
                self.shared.counts.refused(&status);
                None
            }
        }
    }

    async fn attempt<R: Rpc>(&self, request: R) -> Result<R::Reply, Status> {
        let response = self.caller.ask_with(Request::new(request)).await?;
        let tier = response.metadata().get("x-parlance-cache");
        let tier = tier.and_then(|tier| tier.to_str().ok()).unwrap_or("none");
        let is_hit = usize::from(["memory", "redis"].contains(&tier));
        self.shared.hits[self.instance].fetch_add(is_hit, Ordering::Relaxed);
        self.shared.counts.answered(tier);
        Ok(response.into_inner())
    }
}
