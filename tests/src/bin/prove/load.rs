//! The load: a few hot rows, and a writer and readers at every instance. A writer announces its row before and after
//! each write, and readers then read that row. A slow write delays no other write, so that a protocol with waiting writes
//! gets as many write requests as the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parlance_testkit::history::{Key, LiveCounts, Log, Recorder, Report};
use parlance_tests::{Caller, Dice, Rpc, make};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::Request;

/// Each is a conversation and a message of it, two rows.
const CHATS: usize = 3;
/// Readers at each instance, besides one writer.
const READERS: usize = 2;
/// Maximum pause of a writer, in milliseconds.
const WRITER: u64 = 200;
/// Maximum pause of a reader without an announcement, in milliseconds.
const READER: u64 = 60;
/// Maximum delay of a reader after an announcement, and of a writer between two writes of a row, in milliseconds.
const HURRY: u64 = 6;
/// Maximum number of concurrent writes (or pairs of writes) at an instance.
const WRITES: usize = 8;
/// Pause after a refused call, in milliseconds.
const REFUSED: u64 = 50;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Message,
    Conversation,
}

/// A row that is read and written.
struct Row {
    kind: Kind,
    id: String,
    key: Key,
}

/// State shared by all tasks.
struct Shared {
    callers: Vec<Caller>,
    rows: Vec<Row>,
    /// Announces the row that is about to be written, or was just written.
    announced: watch::Sender<usize>,
    stop: AtomicBool,
    answers: AtomicUsize,
    hits: AtomicUsize,
    /// Writes in progress at each instance.
    writing: Vec<AtomicUsize>,
}

/// How many reads were answered, and how many of them from the cache.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadCounts {
    pub(crate) answers: usize,
    pub(crate) hits: usize,
}

/// The rows, and the record of reads and writes.
#[derive(Clone)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    recorder: Recorder,
}

/// The running client tasks.
pub(crate) struct Running(Vec<JoinHandle<()>>);

fn number(value: i64) -> u64 {
    u64::try_from(value).expect("versions count from 1")
}

async fn make_rows(caller: &Caller, log: &mut Log) -> Vec<Row> {
    let mut rows = Vec::new();
    for chat in 0..CHATS {
        let key = |offset: usize| Key::try_from(2 * chat + offset).expect("a few rows");
        let made = log.begin_write(key(0));
        let conversation = caller.ok(make::create_chat("")).await;
        log.acknowledged(&made, number(conversation.version));
        // A send also writes the conversation; its new version is not reported to this client.
        let _ = log.begin_write(key(0));
        let sent = log.begin_write(key(1));
        let message = caller.ok(make::reply(&conversation.id, "hello")).await;
        log.acknowledged(&sent, number(message.version));
        rows.push(Row {
            kind: Kind::Conversation,
            id: conversation.id,
            key: key(0),
        });
        rows.push(Row {
            kind: Kind::Message,
            id: message.id,
            key: key(1),
        });
    }
    rows
}

impl Load {
    /// Creates new rows, before any client reads or writes them. Takes one caller per instance.
    pub(crate) async fn prepare(callers: Vec<Caller>) -> Self {
        let recorder = Recorder::new();
        let first = callers.first().expect("an instance");
        let rows = make_rows(first, &mut recorder.log()).await;
        let shared = Shared {
            rows,
            announced: watch::Sender::new(0),
            stop: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            hits: AtomicUsize::new(0),
            writing: callers.iter().map(|_| AtomicUsize::new(0)).collect(),
            callers,
        };
        Self {
            shared: Arc::new(shared),
            recorder,
        }
    }

    /// Starts all clients, with choices made by the seed.
    pub(crate) fn begin(&self, seed: u64) -> Running {
        let instances = 0..self.shared.callers.len();
        let clients = instances.flat_map(|instance| (0..=READERS).map(move |n| (instance, n)));
        let tasks = clients.map(|(instance, number)| {
            let own = (instance * 100 + number) as u64;
            let client = Client {
                shared: Arc::clone(&self.shared),
                recorder: self.recorder.clone(),
                log: self.recorder.log(),
                instance,
                dice: Dice::new(seed.wrapping_add(own)),
            };
            if number < READERS {
                tokio::spawn(client.read_on())
            } else {
                tokio::spawn(client.write_on())
            }
        });
        Running(tasks.collect())
    }

    /// Waits until an instance has a write in progress, with a limit: the instance may be unable to write.
    pub(crate) async fn until_writing(&self, instance: usize) {
        let writing = &self.shared.writing[instance];
        for _ in 0..500 {
            if writing.load(Ordering::Relaxed) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops all clients.
    pub(crate) async fn end(&self, Running(tasks): Running) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("a client that does not panic");
        }
    }

    /// Counts so far, while the load runs.
    pub(crate) fn tally(&self) -> LiveCounts {
        self.recorder.so_far()
    }

    pub(crate) fn read_counts(&self) -> ReadCounts {
        ReadCounts {
            answers: self.shared.answers.load(Ordering::Relaxed),
            hits: self.shared.hits.load(Ordering::Relaxed),
        }
    }

    /// Checks the history. All clients must have ended.
    pub(crate) fn check(self) -> Report {
        self.recorder.finish().check()
    }
}

/// One client task.
struct Client {
    shared: Arc<Shared>,
    recorder: Recorder,
    log: Log,
    instance: usize,
    dice: Dice,
}

impl Client {
    fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.dice.below(limit * 1000))
    }

    fn goes_on(&self) -> bool {
        !self.shared.stop.load(Ordering::Relaxed)
    }

    /// Calls the service. A refused call is not recorded as a read, for whatever reason it was refused.
    async fn call<R: Rpc>(&self, request: R) -> Option<(R::Reply, String)> {
        let caller = &self.shared.callers[self.instance];
        if let Ok(response) = caller.call_with(Request::new(request)).await {
            let tier = response.metadata().get("x-parlance-cache");
            let tier = tier.and_then(|tier| tier.to_str().ok()).unwrap_or_default();
            let tier = tier.to_owned();
            return Some((response.into_inner(), tier));
        }
        tokio::time::sleep(Duration::from_millis(REFUSED)).await;
        None
    }

    async fn read_on(mut self) {
        let mut announced = self.shared.announced.subscribe();
        while self.goes_on() {
            let think = self.millis(READER);
            let announced_in_time = tokio::time::timeout(think, announced.changed())
                .await
                .is_ok();
            let row = if announced_in_time {
                let row = *announced.borrow_and_update();
                tokio::time::sleep(self.millis(HURRY)).await;
                row
            } else {
                self.dice.index(self.shared.rows.len())
            };
            self.read(row).await;
        }
    }

    async fn read(&mut self, row: usize) -> Option<()> {
        let Row { kind, id, key } = &self.shared.rows[row];
        let begun = self.log.begin_read();
        let (version, tier) = match kind {
            Kind::Message => {
                let (message, tier) = self.call(make::get_message(id)).await?;
                (message.version, tier)
            }
            Kind::Conversation => {
                let (conversation, tier) = self.call(make::get_conversation(id)).await?;
                (conversation.version, tier)
            }
        };
        let hit = matches!(&*tier, "memory" | "redis");
        self.shared.answers.fetch_add(1, Ordering::Relaxed);
        self.shared
            .hits
            .fetch_add(usize::from(hit), Ordering::Relaxed);
        self.log.read(begun, *key, number(version));
        Some(())
    }

    async fn write_on(mut self) {
        let mut going_on = JoinSet::new();
        while self.goes_on() {
            tokio::time::sleep(self.millis(WRITER)).await;
            let row = self.dice.index(self.shared.rows.len());
            let own = self.dice.below(u64::MAX);
            let writer = Self {
                shared: Arc::clone(&self.shared),
                recorder: self.recorder.clone(),
                log: self.recorder.log(),
                instance: self.instance,
                dice: Dice::new(own),
            };
            going_on.spawn(writer.write_once_or_twice(row));
            while going_on.len() >= WRITES {
                if let Some(ended) = going_on.join_next().await {
                    ended.expect("a write that does not panic");
                }
            }
        }
        going_on.join_all().await;
    }

    /// Writes once or twice with equal probability: the second write races with the fills after the first.
    async fn write_once_or_twice(mut self, row: usize) {
        self.shared.announced.send_replace(row);
        for _ in 0..=self.dice.below(2) {
            tokio::time::sleep(self.millis(HURRY)).await;
            let text = format!("{:x}", self.dice.below(u64::MAX));
            let shared = Arc::clone(&self.shared);
            let writing = &shared.writing[self.instance];
            writing.fetch_add(1, Ordering::Relaxed);
            self.write(row, text).await;
            writing.fetch_sub(1, Ordering::Relaxed);
            self.shared.announced.send_replace(row);
        }
    }

    /// Writes a random text, so that each write is a change.
    async fn write(&mut self, row: usize, text: String) -> Option<()> {
        let Row { kind, id, key } = &self.shared.rows[row];
        let write = self.log.begin_write(*key);
        let version = match kind {
            Kind::Message => {
                let request = make::edit_message(id, &["metadata"], |message| {
                    message.metadata = Some(make::json("counter", &text));
                });
                self.call(request).await?.0.version
            }
            Kind::Conversation => {
                let request = make::edit(id, &["title"], |conversation| conversation.title = text);
                self.call(request).await?.0.version
            }
        };
        self.log.acknowledged(&write, number(version));
        Some(())
    }
}
