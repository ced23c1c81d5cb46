//! Driver of the state machine: its clock, its timers, and the webhooks that it wants to be sent.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use parlance_app::Environment;
use parlance_transport::shutdown::Shutdown;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use super::client::{self, Posted};
use super::clock::Clock;
use super::provider::network::{
    Decision, Effect, Network, NewMedia, Status, Submission, Time, Webhook, WebhookResult,
};
use super::provider::twilio::{Credentials, TwimlMessage, twiml_messages};

/// Number of webhooks that may be on their way at a time. Each message has one at most.
const MAX_SENDING: u32 = 64;

/// Driver of one network.
pub(super) struct Driver {
    network: Mutex<Network>,
    clock: Clock,
    environment: Environment,
    started: Instant,
    /// Wakes the task of the timers.
    timers_changed: Notify,
    /// Wakes requests that hang until a time on the clock.
    clock_advanced: Notify,
    sending: Semaphore,
    credentials: Credentials,
    shutdown: Shutdown,
}

/// Returns a random seed, so that the ids of two runs differ.
pub(super) fn random_seed() -> u64 {
    let number = Environment::system().random_numbers()();
    u64::try_from(number >> 64).unwrap_or_default()
}

impl Driver {
    /// Starts the task of the timers.
    pub(super) fn start(
        network: Network,
        clock: Clock,
        credentials: Credentials,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let driver = Arc::new(Self {
            network: Mutex::new(network),
            clock,
            environment: Environment::system(),
            started: Instant::now(),
            timers_changed: Notify::new(),
            clock_advanced: Notify::new(),
            sending: Semaphore::new(MAX_SENDING as usize),
            credentials,
            shutdown,
        });
        tokio::spawn(Arc::clone(&driver).run_timers());
        driver
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Applies an event to the state machine and executes the effects.
    pub(super) fn apply<T>(self: &Arc<Self>, event: impl FnOnce(&mut Network, Time) -> T) -> T {
        let time = self.time();
        let mut network = self.network.lock();
        let before = network.next_tick();
        let value = event(&mut network, time);
        let effects = network.take_effects();
        let after = network.next_tick();
        drop(network);
        for Effect::Send { id, webhook } in effects {
            tokio::spawn(Arc::clone(self).send(id, webhook));
        }
        if after != before {
            self.timers_changed.notify_one();
        }
        value
    }

    /// Advances the clock by an event, and wakes the requests that hang.
    pub(super) fn advance<T>(self: &Arc<Self>, event: impl FnOnce(&mut Network, Time) -> T) -> T {
        let value = self.apply(event);
        self.clock_advanced.notify_waiters();
        value
    }

    /// Returns after this time on the clock of the network, or when the drain begins.
    pub(super) async fn hang(&self, delay: Duration) {
        let end = self.elapsed().saturating_add(delay);
        loop {
            // Before the check, so that no change is missed.
            let advanced = self.clock_advanced.notified();
            let left = end.saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = self.sleep(left) => {}
                () = advanced => {}
                () = self.shutdown.draining() => return,
            }
        }
    }

    /// Waits for the webhooks that are on their way.
    pub(super) async fn webhooks_ended(&self) {
        let _ = self.sending.acquire_many(MAX_SENDING).await;
    }

    fn elapsed(&self) -> Duration {
        let time = self.time();
        self.network.lock().elapsed(&self.credentials.account, time)
    }

    fn time(&self) -> Time {
        match self.clock {
            Clock::System => Time {
                elapsed: self.started.elapsed(),
                now: self.environment.now(),
            },
            Clock::Frozen(now) => Time {
                elapsed: Duration::ZERO,
                now,
            },
        }
    }

    /// Sleeps as long as the clock moves by itself.
    async fn sleep(&self, time: Duration) {
        match self.clock {
            Clock::System => sleep(time).await,
            Clock::Frozen(_) => std::future::pending().await,
        }
    }

    async fn run_timers(self: Arc<Self>) {
        loop {
            let next = self.network.lock().next_tick();
            let due = async {
                match next {
                    Some(at) => self.sleep(at.saturating_sub(self.time().elapsed)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.apply(Network::tick),
                () = self.timers_changed.notified() => {}
                () = self.shutdown.draining() => return,
            }
        }
    }

    /// Sends a webhook, and reports the result to the state machine.
    async fn send(self: Arc<Self>, id: u64, webhook: Box<Webhook>) {
        let Ok(_permit) = self.sending.acquire().await else {
            return;
        };
        let posted = tokio::select! {
            posted = client::post(&webhook, &self.credentials.token) => posted,
            () = self.shutdown.cut() => return,
        };
        let Posted { result, reply } = posted;
        let (sid, status) = (webhook.sid.as_str(), webhook.status.as_str());
        if matches!(result, WebhookResult::Answered(200..=299)) {
            tracing::debug!(webhook = id, sid, status, "a webhook was delivered");
        } else {
            tracing::info!(webhook = id, sid, status, ?result, "a webhook failed");
        }
        let replies = match reply {
            Some(document) if webhook.status == Status::Received => twiml_messages(&document),
            Some(_) | None => Vec::new(),
        };
        self.apply(|network, time| {
            network.webhook_finished(id, &webhook.sid, result);
            for reply in replies {
                let submission = reply_to(&webhook, reply);
                if let Decision::Refused(refusal) = network.submit(submission, time) {
                    tracing::info!(sid, code = refusal.code, "a reply was refused");
                }
            }
        });
    }
}

/// Message of the application in response to an inbound one.
fn reply_to(webhook: &Webhook, reply: TwimlMessage) -> Submission {
    let TwimlMessage {
        body,
        media,
        to,
        from,
        callback,
    } = reply;
    let parameter = |name: &str| {
        let found = webhook.parameters.iter().find(|(found, _)| found == name);
        found.map_or_else(String::new, |(_, value)| value.clone())
    };
    let or = |text: String, name: &str| {
        if text.is_empty() {
            parameter(name)
        } else {
            text
        }
    };
    let media = media.into_iter().map(|url| NewMedia {
        url,
        content_type: "application/octet-stream".to_owned(),
        content: None,
    });
    Submission {
        account: webhook.account.clone(),
        from: or(from, "To"),
        to: or(to, "From"),
        body,
        media: media.collect(),
        callback,
        is_reply: true,
        ..Submission::default()
    }
}
