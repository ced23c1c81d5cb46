//! State machine of the simulated network, without I/O. Events go in, effects come out; the same seed and the same
//! sequence of events give the same effects.
//!
//! Two drivers execute the effects: the simulator inside the process, which passes reports to the application, and
//! `parlance simulate`, which speaks Twilio's API.
//!
//! * Every account has a script of faults and a clock of its own, which can be advanced.
//! * Messages, webhooks, timers and accounts are bounded.

mod account;
mod form;
mod message;
mod opt_out;
mod progress;
mod published;
mod random;
mod refusal;
mod result;
mod retry;
mod script;
mod submit;
#[cfg(test)]
mod tests;
mod timers;
mod webhook;

use std::collections::HashSet;
use std::time::Duration;

use parlance_domain::Timestamp;

pub use form::{API_VERSION, media_path, segments};
pub use message::{Direction, Media, Message, Status};
pub use refusal::{Refusal, code};
pub use result::WebhookResult;
pub use retry::WebhookTimeouts;
pub use submit::{Decision, InboundText, NewMedia, Submission};
pub use webhook::Webhook;

use crate::{NetworkError, Script};
use account::Accounts;
use message::Messages;
use opt_out::Blocks;
use random::Random;
use timers::{Timer, Timers, micros};
use webhook::Webhooks;

/// Time of an event, as the driver measures it.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Time since the start of the network, by a clock that never steps.
    pub elapsed: Duration,
    /// The time of day.
    pub now: Timestamp,
}

/// Time of an event, for the timers that follow it and for its report.
#[derive(Debug, Clone, Copy)]
struct EventTime {
    /// Microseconds since the start of the network, on the unmoved clock.
    elapsed: i64,
    /// The time of day on the clock of the account.
    stamp: Timestamp,
}

/// What the driver decides about the network.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Seed of ids.
    pub seed: u64,
    /// Whether every status is reported, not only the final one.
    pub every_status: bool,
    /// URL that inbound messages are posted to; empty without one.
    pub inbound_url: String,
    /// URL of the API without a path, which files of inbound messages are fetched from.
    pub base_url: String,
    /// Number of messages whose webhooks may wait; further webhooks fail. No limit if 0.
    pub max_waiting: usize,
}

/// What the driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a webhook, and report the result with [`Network::webhook_finished`].
    Send {
        /// Number of the webhook.
        id: u64,
        /// The webhook as it is now.
        webhook: Box<Webhook>,
    },
}

/// The state machine.
#[derive(Debug)]
pub struct Network {
    settings: Settings,
    accounts: Accounts,
    ids: Random,
    messages: Messages,
    webhooks: Webhooks,
    timers: Timers,
    blocks: Blocks,
    /// Messages that were refused once because their recipient is busy.
    deferred: HashSet<String>,
    effects: Vec<Effect>,
}

impl Network {
    /// Creates a network without messages.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            ids: Random::new(settings.seed),
            accounts: Accounts::default(),
            messages: Messages::default(),
            webhooks: Webhooks::new(match settings.max_waiting {
                0 => usize::MAX,
                most => most,
            }),
            timers: Timers::default(),
            blocks: Blocks::default(),
            deferred: HashSet::new(),
            effects: Vec::new(),
            settings,
        }
    }

    /// Takes the effects of the events so far, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When [`Network::tick`] must be called next, as elapsed time; `None` if nothing waits.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        let at = self.timers.next_at()?;
        Some(Duration::from_micros(u64::try_from(at).unwrap_or(0)))
    }

    /// Does what is due.
    pub fn tick(&mut self, time: Time) {
        let elapsed = micros(time.elapsed);
        while let Some(due) = self.timers.pop(elapsed) {
            let late = elapsed.saturating_sub(due.at);
            let late = Duration::from_micros(u64::try_from(late).unwrap_or(0));
            let at = EventTime {
                elapsed: due.at,
                stamp: self.now(&due.account, time).minus(late),
            };
            match due.timer {
                Timer::Progress { sid } => self.progress(&sid, at),
                Timer::Enqueue { webhook } => {
                    self.enqueue(webhook);
                }
                Timer::Release { webhook, sid } => {
                    if self.webhooks.release(webhook, &sid) && !self.enqueue(webhook) {
                        // It is no longer kept, and its queue may be empty.
                        self.start_next(&sid);
                    }
                }
            }
        }
    }

    /// The time on the clock of an account.
    #[must_use]
    pub fn now(&self, account: &str, time: Time) -> Timestamp {
        time.now.plus(self.accounts.advanced(account))
    }

    /// Elapsed time on the clock of an account.
    #[must_use]
    pub fn elapsed(&self, account: &str, time: Time) -> Duration {
        time.elapsed.saturating_add(self.accounts.advanced(account))
    }

    fn event_time(&self, account: &str, time: Time) -> EventTime {
        EventTime {
            elapsed: micros(time.elapsed),
            stamp: self.now(account, time),
        }
    }

    /// Replaces the script of faults of an account.
    pub fn set_script(&mut self, account: &str, script: Script) -> Result<(), NetworkError> {
        self.accounts.set_script(account, script)
    }

    /// Advances the clock of an account, does what is due by then, and returns the new time.
    pub fn advance_clock(
        &mut self,
        account: &str,
        by: Duration,
        time: Time,
    ) -> Result<Timestamp, NetworkError> {
        self.accounts.advance(account, by, time.now)?;
        self.timers.advance(account, by);
        self.tick(time);
        Ok(self.now(account, time))
    }

    /// Returns a message of an account.
    #[must_use]
    pub fn message(&self, account: &str, sid: &str) -> Option<&Message> {
        let message = self.messages.get(sid)?;
        (message.account == account && message.listed).then_some(message)
    }

    /// Returns the messages of an account, newest first.
    pub fn messages<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a Message> {
        self.messages.of(account)
    }

    /// Cancels a scheduled message. Returns whether it was still possible.
    pub fn cancel(&mut self, sid: &str, time: Time) -> bool {
        let Some(message) = self.messages.get(sid) else {
            return false;
        };
        if message.status != Status::Scheduled {
            return message.status == Status::Canceled;
        }
        let at = self.event_time(&message.account, time);
        self.set_status(sid, Status::Canceled, at);
        true
    }

    /// Empties the text of a message, which must have its final status.
    pub fn redact(&mut self, sid: &str) {
        self.messages.redact(sid);
    }

    /// Deletes a message.
    pub fn delete(&mut self, sid: &str) {
        self.messages.remove(sid);
    }

    /// Deletes a file of a message. Returns whether there was one.
    pub fn delete_media(&mut self, sid: &str, media: &str) -> bool {
        self.messages.remove_media(sid, media)
    }

    /// Returns the webhooks of an account with their numbers, newest first.
    pub fn webhooks<'a>(&'a self, account: &'a str) -> impl Iterator<Item = (u64, &'a Webhook)> {
        self.webhooks.of(account)
    }

    /// Sends a webhook once more.
    pub fn replay_webhook(&mut self, account: &str, id: u64) -> Result<&Webhook, NetworkError> {
        let found = self.webhooks.get(id);
        if found.is_none_or(|webhook| webhook.account != account) {
            return Err(NetworkError::UnknownWebhook);
        }
        if !self.enqueue(id) {
            return Err(NetworkError::TooManyWaiting);
        }
        self.webhooks.get(id).ok_or(NetworkError::UnknownWebhook)
    }

    /// Records the result of an attempt to send a webhook. `sid` is its message.
    pub fn webhook_finished(&mut self, id: u64, sid: &str, result: WebhookResult) {
        if self.webhooks.finish(id, sid, result) {
            self.send(id);
        } else {
            self.start_next(sid);
        }
    }
}
