//! A provider that logs all it is asked and all it takes, and the wires that lead to it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::ReportedError;
use parlance_domain::{MessageId, Timestamp};
use parlance_providers::{Outcome, Text, TextProvider};
use tokio::sync::{Semaphore, watch};

use super::TestClock;
use parlance_app::Clock as _;

/// What the far side does with one hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    /// Accepts under an id that it has given to others too.
    AcceptAs(&'static str),
    Refuse,
    Later(Option<Duration>),
    /// It takes it, and its answer is lost.
    LostTaken,
    /// It never hears of it.
    LostUntaken,
    /// The client breaks.
    Panic,
}

/// One hand-over that the far side took.
#[derive(Debug, Clone)]
pub(crate) struct Accept {
    pub(crate) message: MessageId,
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) at: Timestamp,
}

/// The script: given a text and how often it came before.
type Script = dyn Fn(&Text, usize) -> Answer + Send + Sync;

pub(crate) struct FarSide {
    /// Whether a message that comes twice is one.
    idempotent: AtomicBool,
    clock: TestClock,
    script: Mutex<Arc<Script>>,
    log: Mutex<Log>,
    rations: Semaphore,
}

#[derive(Default)]
struct Log {
    calls: HashMap<MessageId, usize>,
    asked: HashMap<MessageId, Text>,
    accepts: Vec<Accept>,
    seen: Vec<MessageId>,
    known: HashSet<MessageId>,
    under_way: HashMap<String, usize>,
    crowded: Vec<String>,
}

impl FarSide {
    pub(crate) fn new(clock: TestClock, idempotent: bool) -> Arc<Self> {
        Arc::new(Self {
            idempotent: AtomicBool::new(idempotent),
            clock,
            script: Mutex::new(Arc::new(|_, _| Answer::Accept)),
            log: Mutex::default(),
            rations: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// Whether a message that comes twice is one.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent.load(Ordering::Relaxed)
    }

    /// From now on it is said to be one.
    pub(crate) fn call_idempotent(&self) {
        self.idempotent.store(true, Ordering::Relaxed);
    }

    /// Changes what it answers.
    pub(crate) fn answers(&self, script: impl Fn(&Text, usize) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// From now on it takes no more than it is allowed to.
    pub(crate) fn ration(&self) {
        self.rations.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// It may take so many more.
    pub(crate) fn allow(&self, count: usize) {
        self.rations.add_permits(count);
    }

    /// Every hand-over that it took, in order; one message may be there twice.
    pub(crate) fn accepts(&self) -> Vec<Accept> {
        self.log.lock().unwrap().accepts.clone()
    }

    /// How often it took this message.
    pub(crate) fn accepted(&self, message: MessageId) -> usize {
        let log = self.log.lock().unwrap();
        log.accepts.iter().filter(|a| a.message == message).count()
    }

    /// How often the person got this message.
    pub(crate) fn seen(&self, message: MessageId) -> usize {
        let log = self.log.lock().unwrap();
        log.seen.iter().filter(|seen| **seen == message).count()
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> usize {
        self.log.lock().unwrap().calls.values().sum()
    }

    /// Recipients of whom two messages were being handed over at once.
    pub(crate) fn crowded(&self) -> Vec<String> {
        self.log.lock().unwrap().crowded.clone()
    }

    fn come(&self, text: &Text) {
        let mut log = self.log.lock().unwrap();
        let now = log.under_way.entry(text.to.clone()).or_default();
        *now += 1;
        if *now > 1 {
            log.crowded.push(text.to.clone());
        }
    }

    fn go(&self, to: &str) {
        *self.log.lock().unwrap().under_way.get_mut(to).unwrap() -= 1;
    }

    fn decide(&self, text: &Text) -> Answer {
        let before = {
            let mut log = self.log.lock().unwrap();
            log.asked.insert(text.message_id, text.clone());
            let calls = log.calls.entry(text.message_id).or_default();
            *calls += 1;
            *calls - 1
        };
        let script = Arc::clone(&self.script.lock().unwrap());
        script(text, before)
    }

    /// A request arrives whose sender has died meanwhile.
    pub(crate) fn arrives(&self, message: MessageId) {
        let text = self.log.lock().unwrap().asked[&message].clone();
        self.take(&text);
    }

    /// Takes it; the id that it is known by.
    fn take(&self, text: &Text) -> String {
        let mut log = self.log.lock().unwrap();
        log.accepts.push(Accept {
            message: text.message_id,
            to: text.to.clone(),
            body: text.body.clone(),
            at: self.clock.now(),
        });
        let first = log.known.insert(text.message_id);
        if first || !self.is_idempotent() {
            log.seen.push(text.message_id);
        }
        if self.is_idempotent() {
            format!("fake-{}", text.message_id)
        } else {
            format!("fake-{}-{}", text.message_id, log.seen.len())
        }
    }
}

/// Where a hand-over can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Claimed, and the provider has not been called.
    Claimed,
    /// The request is on its way.
    RequestSent,
    /// The provider has taken it, and its answer is on its way.
    Accepted,
}

/// One dispatcher's way to the far side.
pub(crate) struct Wire {
    far: Arc<FarSide>,
    hold: watch::Sender<Option<Step>>,
    held: watch::Sender<usize>,
}

/// Counts who is held, and who hands over to whom, even if the hand is dropped.
struct Count<F: FnMut()>(F);

impl<F: FnMut()> Drop for Count<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Wire {
    pub(crate) fn to(far: &Arc<FarSide>) -> Arc<Self> {
        Arc::new(Self {
            far: Arc::clone(far),
            hold: watch::Sender::new(None),
            held: watch::Sender::new(0),
        })
    }

    /// Holds whoever comes to this step; `None` lets all go.
    pub(crate) fn hold(&self, at: Option<Step>) {
        self.hold.send_replace(at);
    }

    /// Returns when so many are held.
    pub(crate) async fn until_held(&self, count: usize) {
        let mut held = self.held.subscribe();
        let enough = held.wait_for(|held| *held >= count);
        tokio::time::timeout(super::SOON, enough)
            .await
            .unwrap_or_else(|_| panic!("{} of {count} are held", *self.held.borrow()))
            .unwrap();
    }

    /// Returns when nobody is held.
    pub(crate) async fn until_none_held(&self) {
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
    }

    async fn pass(&self, step: Step) {
        if *self.hold.borrow() != Some(step) {
            return;
        }
        self.held.send_modify(|held| *held += 1);
        let _count = Count(|| self.held.send_modify(|held| *held -= 1));
        let mut hold = self.hold.subscribe();
        let _ = hold.wait_for(|hold| *hold != Some(step)).await;
    }
}

#[async_trait]
impl TextProvider for Wire {
    async fn send_text(&self, text: Text) -> Outcome {
        self.far.come(&text);
        let to = text.to.clone();
        let _count = Count(|| self.far.go(&to));
        self.pass(Step::Claimed).await;
        let answer = self.far.decide(&text);
        self.pass(Step::RequestSent).await;
        self.far.rations.acquire().await.unwrap().forget();
        let outcome = match answer {
            Answer::Accept => Outcome::Accepted {
                provider_message_id: self.far.take(&text),
            },
            Answer::AcceptAs(id) => {
                self.far.take(&text);
                Outcome::Accepted {
                    provider_message_id: id.to_owned(),
                }
            }
            Answer::Refuse => Outcome::Refused(error("refused")),
            Answer::Later(after) => Outcome::Later {
                after,
                error: error("throttled"),
            },
            Answer::LostTaken => {
                self.far.take(&text);
                Outcome::Lost(error("timeout"))
            }
            Answer::LostUntaken => Outcome::Lost(error("timeout")),
            // No words on the console: it is meant.
            Answer::Panic => std::panic::resume_unwind(Box::new("the client breaks")),
        };
        self.pass(Step::Accepted).await;
        outcome
    }
}

fn error(code: &str) -> ReportedError {
    ReportedError {
        code: code.to_owned(),
        message: format!("the far side says {code}"),
        provider_code: String::new(),
    }
}
