//! Readers and writers at every instance, which pause at random and record what they read.
//!
//! A third of the conversations are text messages, which the dispatcher sends and reports about meanwhile, and which
//! are received, too; from another third messages are deleted.

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

use crate::agreement::ChatIds;
use crate::dice::Dice;
use crate::outcome::{Counts, Outcome};

/// Conversations. Each has a key for itself, its number of messages, its list, and each of its newest messages: 200 hot
/// keys in all.
pub(crate) const CHATS: usize = 33;
const MESSAGES: usize = 3;
/// Readers at each instance, besides one writer.
const READERS: usize = 4;
/// Maximum pause of a client, in milliseconds.
const THINK: u64 = 8;
/// Number of messages in the cached list, and in a page.
const NEWEST: usize = 50;
/// Number of hits after which the cache of an instance counts as warm.
const WARM: usize = 50;
/// A text that no instance has written.
pub(crate) const CANARY: &str = "of another owner";
/// Time-out of a wait.
const TIME_OUT: Duration = Duration::from_mins(2);

/// How readers read messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// With a call for each read.
    Call,
    /// With one call; the first response is used for ever, like a cache without invalidation.
    Memoize,
}

/// State shared by all tasks.
struct Shared {
    chats: Vec<Chat>,
    next_key: AtomicU32,
    stop: AtomicBool,
    /// The chat of the last write, where a stale value is most likely.
    latest: AtomicUsize,
    /// Reads that were answered, by instance.
    reads: Vec<AtomicUsize>,
    writes: Vec<AtomicUsize>,
    /// Reads that were answered from the cache.
    hits: Vec<AtomicUsize>,
    counts: Counts,
}

/// A running load.
pub(crate) struct Load {
    shared: Arc<Shared>,
    recorder: Recorder,
    tasks: Vec<JoinHandle<()>>,
    seed: u64,
    started: Instant,
}

/// Converts a version or sequence, which is always positive.
fn number(value: i64) -> u64 {
    u64::try_from(value).expect("versions and sequences count from 1")
}

/// A running load, as the faults use it.
pub(crate) trait RunningLoad {
    /// Waits until an instance has answered a number of further reads and writes.
    async fn until_answered(&self, instance: usize, reads: usize, writes: usize);

    /// Waits for further hits at every instance, so that its cache is in use and has values.
    async fn until_warm(&self);
}

impl RunningLoad for Load {
    async fn until_answered(&self, instance: usize, reads: usize, writes: usize) {
        let now = |counts: &[AtomicUsize]| counts[instance].load(Ordering::Relaxed);
        let reads = now(&self.shared.reads) + reads;
        let writes = now(&self.shared.writes) + writes;
        eventually(TIME_OUT, async || {
            (now(&self.shared.reads) >= reads && now(&self.shared.writes) >= writes).then_some(())
        })
        .await;
    }

    async fn until_warm(&self) {
        let all: Vec<usize> = (0..self.shared.hits.len()).collect();
        self.until_warm_at(&all).await;
    }
}

impl Load {
    /// Creates conversations, and starts all clients.
    pub(crate) async fn start(callers: &[Caller], readers: Readers, count: usize) -> Self {
        let recorder = Recorder::new();
        let mut log = recorder.log();
        let next_key = AtomicU32::new(0);
        let mut chats = Vec::new();
        // At the first instance: others may be disconnected, and their writes wait.
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

    /// Waits until the caches of these instances are warm.
    pub(crate) async fn until_warm_at(&self, instances: &[usize]) {
        let now = || {
            let hits = instances
                .iter()
                .map(|instance| &self.shared.hits[*instance]);
            hits.map(|hits| hits.load(Ordering::Relaxed))
        };
        let before: Vec<usize> = now().collect();
        eventually(TIME_OUT, async || {
            let mut both = before.iter().zip(now());
            both.all(|(before, now)| now >= before + WARM).then_some(())
        })
        .await;
    }

    /// Whether a stale row was read. Rows can be checked while the load runs.
    pub(crate) fn was_stale(&self) -> bool {
        self.recorder.so_far().stale > 0 || self.shared.counts.leaks() > 0
    }

    /// How stale the stalest row was.
    pub(crate) fn stalest(&self) -> Duration {
        self.recorder.so_far().stalest
    }

    /// The conversations.
    pub(crate) fn chats(&self) -> Vec<ChatIds> {
        self.shared.chats.iter().map(|c| c.ids.clone()).collect()
    }

    /// The newest message of every conversation.
    pub(crate) fn hot_messages(&self) -> Vec<String> {
        let hot = |chat: &Chat| chat.messages().front().map(|hot| hot.id.clone());
        self.shared.chats.iter().filter_map(hot).collect()
    }

    /// Stops all clients, and checks the history.
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

/// One client task.
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

    /// Makes a call and counts its result. A refused call is not recorded as a read.
    async fn call<R: Rpc>(&self, request: R) -> Option<R::Reply> {
        let answer = self.attempt(request).await;
        answer
            .map_err(|status| self.shared.counts.refused(&status))
            .ok()
    }

    /// Makes a call about a message that may be deleted; `NOT_FOUND` is recorded as a read of its deletion.
    async fn call_about<R: Rpc>(&mut self, hot: &Hot, request: R) -> Option<R::Reply> {
        let begun = self.log.begin_read();
        match self.attempt(request).await {
            Ok(reply) => Some(reply),
            Err(status) if status.code() == Code::NotFound => {
                self.log.read(begun, hot.deletion, chat::DELETED);
                None
            }
            Err(status) => {
                self.shared.counts.refused(&status);
                None
            }
        }
    }

    async fn attempt<R: Rpc>(&self, request: R) -> Result<R::Reply, Status> {
        let response = self.caller.call_with(Request::new(request)).await?;
        let tier = response.metadata().get("x-parlance-cache");
        let tier = tier.and_then(|tier| tier.to_str().ok()).unwrap_or("none");
        let is_hit = usize::from(["memory", "redis"].contains(&tier));
        self.shared.hits[self.instance].fetch_add(is_hit, Ordering::Relaxed);
        self.shared.counts.answered(tier);
        Ok(response.into_inner())
    }
}
