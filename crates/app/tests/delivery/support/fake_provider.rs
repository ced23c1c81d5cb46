//! A provider that logs every request and every accepted message, and the connections of dispatchers to it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::ReportedError;
use parlance_domain::{MessageId, Timestamp};
use parlance_providers::{LookUp, LookUpQuery, LookUpResult, Outcome, Text, TextProvider};
use tokio::sync::{Semaphore, watch};

use super::TestClock;
use parlance_app::Clock as _;

/// Behaviour of the provider for one hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    /// Accepts under an id that other messages have too.
    AcceptAs(&'static str),
    Refuse,
    Later(Option<Duration>),
    /// Accepts, but the response is lost.
    LostTaken,
    /// The request is lost.
    LostUntaken,
    /// The client panics.
    Panic,
}

/// An accepted hand-over.
#[derive(Debug, Clone)]
pub(crate) struct Accept {
    pub(crate) message: MessageId,
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) at: Timestamp,
}

/// Behaviour as a function of the text and the number of earlier hand-overs of it.
type Script = dyn Fn(&Text, usize) -> Answer + Send + Sync;

pub(crate) struct FakeProvider {
    /// Whether repeated hand-overs of a message count as one.
    idempotent: AtomicBool,
    /// Whether it says which messages it has accepted.
    answers_look_ups: AtomicBool,
    clock: TestClock,
    script: Mutex<Arc<Script>>,
    log: Mutex<Log>,
    rations: Semaphore,
}

#[derive(Default)]
struct Log {
    calls: HashMap<MessageId, usize>,
    requests: HashMap<MessageId, Text>,
    accepts: Vec<Accept>,
    seen: Vec<MessageId>,
    known: HashSet<MessageId>,
    in_progress: HashMap<String, usize>,
    overlaps: Vec<String>,
}

impl FakeProvider {
    pub(crate) fn new(clock: TestClock, idempotent: bool) -> Arc<Self> {
        Arc::new(Self {
            idempotent: AtomicBool::new(idempotent),
            answers_look_ups: AtomicBool::new(false),
            clock,
            script: Mutex::new(Arc::new(|_, _| Answer::Accept)),
            log: Mutex::default(),
            rations: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// Whether repeated hand-overs of a message count as one.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent.load(Ordering::Relaxed)
    }

    /// Treats repeated hand-overs as one from now on.
    pub(crate) fn set_idempotent(&self) {
        self.idempotent.store(true, Ordering::Relaxed);
    }

    /// Says from now on which messages it has accepted.
    pub(crate) fn set_answers_look_ups(&self) {
        self.answers_look_ups.store(true, Ordering::Relaxed);
    }

    /// Returns the last request of a message.
    pub(crate) fn request(&self, message: MessageId) -> Text {
        self.log.lock().unwrap().requests[&message].clone()
    }

    /// Sets the behaviour.
    pub(crate) fn answers(&self, script: impl Fn(&Text, usize) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Accepts no more hand-overs than permitted with [`allow`](Self::allow) from now on.
    pub(crate) fn ration(&self) {
        self.rations.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Permits further hand-overs.
    pub(crate) fn allow(&self, count: usize) {
        self.rations.add_permits(count);
    }

    /// Returns every accepted hand-over in order; a message may occur twice.
    pub(crate) fn accepts(&self) -> Vec<Accept> {
        self.log.lock().unwrap().accepts.clone()
    }

    /// Returns how often a message was accepted.
    pub(crate) fn accepted(&self, message: MessageId) -> usize {
        let log = self.log.lock().unwrap();
        log.accepts.iter().filter(|a| a.message == message).count()
    }

    /// Returns how often the recipient received a message.
    pub(crate) fn seen(&self, message: MessageId) -> usize {
        let log = self.log.lock().unwrap();
        log.seen.iter().filter(|seen| **seen == message).count()
    }

    /// Returns the number of hand-overs.
    pub(crate) fn calls(&self) -> usize {
        self.log.lock().unwrap().calls.values().sum()
    }

    /// Returns the recipients that had two hand-overs at the same time.
    pub(crate) fn overlaps(&self) -> Vec<String> {
        self.log.lock().unwrap().overlaps.clone()
    }

    fn enter(&self, text: &Text) {
        let mut log = self.log.lock().unwrap();
        let now = log.in_progress.entry(text.to.clone()).or_default();
        *now += 1;
        if *now > 1 {
            log.overlaps.push(text.to.clone());
        }
    }

    fn leave(&self, to: &str) {
        *self.log.lock().unwrap().in_progress.get_mut(to).unwrap() -= 1;
    }

    fn decide(&self, text: &Text) -> Answer {
        let before = {
            let mut log = self.log.lock().unwrap();
            log.requests.insert(text.message_id(), text.clone());
            let calls = log.calls.entry(text.message_id()).or_default();
            *calls += 1;
            *calls - 1
        };
        let script = Arc::clone(&self.script.lock().unwrap());
        script(text, before)
    }

    /// Delivers a request that arrives after its dispatcher was killed.
    pub(crate) fn deliver_late(&self, message: MessageId) {
        let text = self.request(message);
        self.take(&text);
    }

    /// Accepts a text and returns its provider id.
    fn take(&self, text: &Text) -> String {
        let mut log = self.log.lock().unwrap();
        log.accepts.push(Accept {
            message: text.message_id(),
            to: text.to.clone(),
            body: text.body.clone(),
            at: self.clock.now(),
        });
        let first = log.known.insert(text.message_id());
        if first || !self.is_idempotent() {
            log.seen.push(text.message_id());
        }
        if self.is_idempotent() {
            format!("fake-{}", text.message_id())
        } else {
            format!("fake-{}-{}", text.message_id(), log.seen.len())
        }
    }
}

/// Step at which a hand-over can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Claimed; the provider has not been called.
    Claimed,
    /// The request is in transit.
    RequestSent,
    /// The provider has accepted it, and the response is in transit.
    Accepted,
}

/// Connection of one dispatcher to the provider.
pub(crate) struct Wire {
    provider: Arc<FakeProvider>,
    hold: watch::Sender<Option<Step>>,
    held: watch::Sender<usize>,
}

/// Runs a closure on drop: keeps counters correct even if a hand-over is cancelled.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Wire {
    pub(crate) fn to(provider: &Arc<FakeProvider>) -> Arc<Self> {
        Arc::new(Self {
            provider: Arc::clone(provider),
            hold: watch::Sender::new(None),
            held: watch::Sender::new(0),
        })
    }

    /// Holds hand-overs that reach this step; `None` releases all.
    pub(crate) fn hold(&self, at: Option<Step>) {
        self.hold.send_replace(at);
    }

    /// Waits until this many are held.
    pub(crate) async fn until_held(&self, count: usize) {
        let mut held = self.held.subscribe();
        let enough = held.wait_for(|held| *held >= count);
        tokio::time::timeout(super::SOON, enough)
            .await
            .unwrap_or_else(|_| panic!("{} of {count} are held", *self.held.borrow()))
            .unwrap();
    }

    /// Waits until none is held.
    pub(crate) async fn until_none_held(&self) {
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
    }

    async fn pass(&self, step: Step) {
        if *self.hold.borrow() != Some(step) {
            return;
        }
        self.held.send_modify(|held| *held += 1);
        let _count = OnDrop(|| self.held.send_modify(|held| *held -= 1));
        let mut hold = self.hold.subscribe();
        let _ = hold.wait_for(|hold| *hold != Some(step)).await;
    }
}

#[async_trait]
impl TextProvider for Wire {
    async fn send_text(&self, text: Text) -> Outcome {
        self.provider.enter(&text);
        let to = text.to.clone();
        let _count = OnDrop(|| self.provider.leave(&to));
        self.pass(Step::Claimed).await;
        let answer = self.provider.decide(&text);
        self.pass(Step::RequestSent).await;
        self.provider.rations.acquire().await.unwrap().forget();
        let outcome = match answer {
            Answer::Accept => Outcome::Accepted {
                provider_message_id: self.provider.take(&text),
            },
            Answer::AcceptAs(id) => {
                self.provider.take(&text);
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
                self.provider.take(&text);
                Outcome::Lost(error("timeout"))
            }
            Answer::LostUntaken => Outcome::Lost(error("timeout")),
            // Without a message on the console, because the panic is intended.
            Answer::Panic => std::panic::resume_unwind(Box::new("the client panics")),
        };
        self.pass(Step::Accepted).await;
        outcome
    }
}

#[async_trait]
impl LookUp for Wire {
    async fn look_up(&self, query: &LookUpQuery) -> LookUpResult {
        if !self.provider.answers_look_ups.load(Ordering::Relaxed) {
            return LookUpResult::Unknown;
        }
        let id = query.hand_over.attempt.message_id;
        if self.provider.accepted(id) > 0 {
            LookUpResult::Accepted {
                provider_message_id: format!("fake-{id}"),
            }
        } else {
            LookUpResult::NotFound
        }
    }
}

fn error(code: &str) -> ReportedError {
    ReportedError {
        code: code.to_owned(),
        message: format!("the fake provider returned {code}"),
        provider_code: String::new(),
    }
}
