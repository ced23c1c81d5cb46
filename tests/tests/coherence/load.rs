//! Readers and writers at every instance, who think at random and write down what they see.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parlance_proto::v1::{self, MessageStatus};
use parlance_testkit::eventually;
use parlance_testkit::history::{Change, Element, Key, Log, Recorder};
use parlance_tests::{Caller, Rpc, make};
use tokio::task::JoinHandle;
use tonic::Request;

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

/// What is hot.
struct Chat {
    id: String,
    /// The conversation's own version.
    conversation: Key,
    /// How many messages it has: raised by sends alone.
    count: Key,
    list: Key,
    /// The newest, last first.
    messages: Mutex<VecDeque<Hot>>,
}

#[derive(Clone)]
struct Hot {
    id: String,
    key: Key,
    sequence: u64,
}

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

impl Load {
    /// New conversations, and everybody at work on them.
    pub(crate) async fn start(callers: &[Caller], readers: Readers, count: usize) -> Self {
        let recorder = Recorder::new();
        let mut log = recorder.log();
        let next_key = AtomicU32::new(0);
        let mut chats = Vec::new();
        for number in 0..count {
            let caller = &callers[number % callers.len()];
            chats.push(Chat::make(caller, &next_key, &mut log).await);
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

    /// Waits until an instance has answered as many more reads, and so many more writes.
    pub(crate) async fn answers(&self, instance: usize, reads: usize, writes: usize) {
        let now = |counts: &[AtomicUsize]| counts[instance].load(Ordering::Relaxed);
        let reads = now(&self.shared.reads) + reads;
        let writes = now(&self.shared.writes) + writes;
        eventually(PATIENCE, async || {
            (now(&self.shared.reads) >= reads && now(&self.shared.writes) >= writes).then_some(())
        })
        .await;
    }

    /// Waits until the cache has answered some more reads at every instance: it is in use, and there is something in it.
    pub(crate) async fn is_warm(&self) {
        let now = || {
            let hits = self.shared.hits.iter();
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
    pub(crate) fn chats(&self) -> Vec<String> {
        self.shared.chats.iter().map(|c| c.id.clone()).collect()
    }

    /// The newest message of every conversation.
    pub(crate) fn hot_messages(&self) -> Vec<String> {
        let hot = |chat: &Chat| lock(&chat.messages).front().map(|hot| hot.id.clone());
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

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chat {
    async fn make(caller: &Caller, next_key: &AtomicU32, log: &mut Log) -> Self {
        let key = || next_key.fetch_add(1, Ordering::Relaxed);
        let (conversation, count, list) = (key(), key(), key());
        let write = log.begin_write(conversation);
        let made = caller.ok(make::create_chat("")).await;
        log.acknowledged(&write, number(made.version));
        let chat = Self {
            id: made.id,
            conversation,
            count,
            list,
            messages: Mutex::default(),
        };
        for _ in 0..MESSAGES {
            let begun = chat.begin_send(log, key());
            let message = caller.ok(make::reply(&chat.id, "hello")).await;
            chat.sent(log, &begun, &message);
        }
        chat
    }

    fn begin_send(&self, log: &mut Log, key: Key) -> BegunSend {
        // What came of the conversation's version nobody is told; a read may not be ahead of it.
        let _ = log.begin_write(self.conversation);
        BegunSend {
            key,
            message: log.begin_write(key),
            count: log.begin_write(self.count),
            list: log.begin_change(self.list, Change::Send),
        }
    }

    fn sent(&self, log: &mut Log, begun: &BegunSend, message: &v1::Message) {
        let element = element(message);
        log.acknowledged(&begun.message, element.version);
        log.acknowledged(&begun.count, element.sequence);
        log.changed(&begun.list, element);
        let mut messages = lock(&self.messages);
        messages.push_front(Hot {
            id: message.id.clone(),
            key: begun.key,
            sequence: element.sequence,
        });
        messages.truncate(MESSAGES);
    }
}

struct BegunSend {
    key: Key,
    message: parlance_testkit::history::BegunWrite,
    count: parlance_testkit::history::BegunWrite,
    list: parlance_testkit::history::BegunChange,
}

fn element(message: &v1::Message) -> Element {
    Element {
        sequence: number(message.sequence),
        version: number(message.version),
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
        let messages = lock(&self.shared.chats[chat].messages);
        let which = self.dice.index(MESSAGES);
        messages.get(which).cloned()
    }

    /// Asks and counts; what is refused, for whatever reason, is nothing that was seen.
    async fn ask<R: Rpc>(&self, request: R) -> Option<R::Reply> {
        match self.caller.ask_with(Request::new(request)).await {
            Ok(response) => {
                let tier = response.metadata().get("x-parlance-cache");
                let tier = tier.and_then(|tier| tier.to_str().ok()).unwrap_or("none");
                let is_hit = usize::from(["memory", "redis"].contains(&tier));
                self.shared.hits[self.instance].fetch_add(is_hit, Ordering::Relaxed);
                self.shared.counts.answered(tier);
                Some(response.into_inner())
            }
            Err(status) => {
                self.shared.counts.refused(&status);
                None
            }
        }
    }

    /// As often as not the one that is being written to.
    fn chat_to_read(&mut self) -> usize {
        if self.dice.below(2) == 0 {
            self.shared.latest.load(Ordering::Relaxed)
        } else {
            self.chat()
        }
    }

    async fn read_on(mut self, readers: Readers) {
        let mut hoard: HashMap<Key, u64> = HashMap::new();
        while self.think().await {
            let chat = self.chat_to_read();
            let read = match self.dice.below(4) {
                0 => self.read_conversation(chat).await,
                1 => self.read_list(chat).await,
                _ if readers == Readers::Hoard => self.read_hoarded(chat, &mut hoard).await,
                _ => self.read_message(chat).await.map(|_| ()),
            };
            let answered = usize::from(read.is_some());
            self.shared.reads[self.instance].fetch_add(answered, Ordering::Relaxed);
        }
    }

    async fn read_message(&mut self, chat: usize) -> Option<(Key, u64)> {
        let hot = self.hot(chat)?;
        let begun = self.log.begin_read();
        let message = self.ask(make::get_message(&hot.id)).await?;
        self.look_at(&message);
        let version = number(message.version);
        self.log.read(begun, hot.key, version);
        Some((hot.key, version))
    }

    fn look_at(&self, message: &v1::Message) {
        if message.body.contains(CANARY) {
            self.shared.counts.leaked();
        }
    }

    async fn read_hoarded(&mut self, chat: usize, hoard: &mut HashMap<Key, u64>) -> Option<()> {
        let hot = self.hot(chat)?;
        if let Some(version) = hoard.get(&hot.key) {
            let begun = self.log.begin_read();
            self.log.read(begun, hot.key, *version);
        } else {
            hoard.extend(self.read_message(chat).await);
        }
        Some(())
    }

    async fn read_conversation(&mut self, chat: usize) -> Option<()> {
        let Chat {
            id,
            conversation,
            count,
            ..
        } = &self.shared.chats[chat];
        let begun = self.log.begin_read();
        let found = self.ask(make::get_conversation(id)).await?;
        self.log.read(begun, *conversation, number(found.version));
        self.log.read(begun, *count, number(found.message_count));
        Some(())
    }

    async fn read_list(&mut self, chat: usize) -> Option<()> {
        let Chat { id, list, .. } = &self.shared.chats[chat];
        let request = v1::ListMessagesRequest {
            page_size: i32::try_from(NEWEST).unwrap_or(i32::MAX),
            ..make::list(id)
        };
        let begun = self.log.begin_read();
        let page = self.ask(request).await?;
        for message in &page.messages {
            self.look_at(message);
        }
        let elements = page.messages.iter().map(element).collect();
        self.log.read_list(begun, *list, elements, NEWEST);
        Some(())
    }

    async fn write_on(mut self) {
        let mut edits = 0;
        while self.think().await {
            let chat = self.chat();
            self.shared.latest.store(chat, Ordering::Relaxed);
            let began = Instant::now();
            edits += 1;
            let wrote = match self.dice.below(10) {
                0..3 => self.send(chat).await,
                3..7 => self.edit(chat, edits).await,
                7 => self.report(chat).await,
                8 => self.rename(chat, edits).await,
                _ => self.mark_as_read(chat).await,
            };
            if wrote.is_some() {
                self.shared.counts.wrote(began.elapsed());
                self.shared.writes[self.instance].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn send(&mut self, chat: usize) -> Option<()> {
        let shared = Arc::clone(&self.shared);
        let chat = &shared.chats[chat];
        let key = shared.next_key.fetch_add(1, Ordering::Relaxed);
        let begun = chat.begin_send(&mut self.log, key);
        let message = self.ask(make::reply(&chat.id, "and more")).await?;
        chat.sent(&mut self.log, &begun, &message);
        Some(())
    }

    /// Something of its own each time, so that it is a change.
    async fn edit(&mut self, chat: usize, number: u32) -> Option<()> {
        let text = format!("{}-{number}", self.instance);
        let request = |id: &str| {
            make::edit_message(id, &["metadata"], |message| {
                message.metadata = Some(make::json("counter", &text));
            })
        };
        self.change_message(chat, request).await
    }

    async fn report(&mut self, chat: usize) -> Option<()> {
        self.change_message(chat, |id| make::report(id, MessageStatus::Read))
            .await
    }

    async fn change_message<R>(&mut self, chat: usize, request: impl Fn(&str) -> R) -> Option<()>
    where
        R: Rpc<Reply = v1::Message>,
    {
        let hot = self.hot(chat)?;
        let list = self.shared.chats[chat].list;
        let write = self.log.begin_write(hot.key);
        let change = self.log.begin_change(list, Change::Edit(hot.sequence));
        let message = self.ask(request(&hot.id)).await?;
        self.log.acknowledged(&write, number(message.version));
        self.log.changed(&change, element(&message));
        Some(())
    }

    async fn rename(&mut self, chat: usize, number: u32) -> Option<()> {
        let title = format!("{}-{number}", self.instance);
        let id = self.shared.chats[chat].id.clone();
        let request = make::edit(&id, &["title"], |conversation| conversation.title = title);
        self.change_conversation(chat, request).await
    }

    async fn mark_as_read(&mut self, chat: usize) -> Option<()> {
        let request = v1::MarkAsReadRequest {
            id: self.shared.chats[chat].id.clone(),
            ..Default::default()
        };
        self.change_conversation(chat, request).await
    }

    async fn change_conversation<R>(&mut self, chat: usize, request: R) -> Option<()>
    where
        R: Rpc<Reply = v1::Conversation>,
    {
        let write = self.log.begin_write(self.shared.chats[chat].conversation);
        let conversation = self.ask(request).await?;
        let version = number(conversation.version);
        self.log.acknowledged(&write, version);
        Some(())
    }
}
