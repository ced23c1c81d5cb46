//! Simulator: a provider inside the process that accepts every message, delivers it within a second, and takes special
//! actions for certain recipient addresses.
//!
//! It drives the state machine in [`network`], which `parlance simulate` drives as well, over HTTP. Both know the same
//! numbers, scripts of faults and movable clocks.
//!
//! It is idempotent: a message that is handed over twice is delivered once. Accepted messages are kept in memory only.
//! After a restart the application passes the unfinished messages to [`Resume::resume`], and the simulator continues to
//! report about them.

mod name;
pub mod network;
mod recipients;
mod records;
#[cfg(test)]
mod tests;
pub mod twilio;
mod webhooks;

pub use name::NAME;
pub use recipients::{Behaviour, MAGIC_RECIPIENTS, MagicRecipient};
pub use records::{sent_message, webhook_id, webhook_record};

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{MessageId, Owner, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use self::network::{
    Decision, Effect, Network, NewMedia, Refusal, Settings, Status, Submission, Time, Webhook,
    WebhookResult,
};
use crate::{
    HandOver, Mail, MailProvider, NetworkError, Now, OutboundAttachment, OutboundContent, Outcome,
    Provider, ProviderContext, ProviderEvents, ProviderReport, ReportedMessage, Resume,
    RetryReport, Script, SentMessage, SentQuery, SimulatedNetwork, Text, TextProvider,
    WebhookQuery, WebhookRecord,
};
use webhooks::SimulatorWebhooks;

/// Delay before an unaccepted report is repeated; doubled each time, up to `MAX_RETRY`.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const MAX_RETRY: Duration = Duration::from_secs(10);
/// Delay that a busy recipient ("429") asks for.
const BUSY: Duration = Duration::from_millis(300);
/// What precedes the message id in the provider's id.
const ID_PREFIX: &str = "sim-";

/// Creates the provider for the registry.
pub fn provider(context: &ProviderContext) -> Provider {
    let events = Arc::clone(&context.events);
    let webhooks = SimulatorWebhooks::new(Arc::clone(&events), Arc::clone(&context.now));
    let simulator = Simulator::new(events, Arc::clone(&context.now));
    Provider {
        texts: Some(Arc::clone(&simulator) as _),
        mails: Some(Arc::clone(&simulator) as _),
        webhooks: Some(Arc::new(webhooks)),
        resume: Some(Arc::clone(&simulator) as _),
        simulated_network: Some(simulator),
        ..Provider::new(NAME)
    }
}

/// The simulator.
pub struct Simulator {
    state: Mutex<State>,
    events: Arc<dyn ProviderEvents>,
    now: Now,
    started: Instant,
    /// Wakes the task of the timers: another one may be the next.
    timers_changed: Notify,
    /// Wakes hand-overs that hang until a time on the clock of their owner.
    clock_advanced: Notify,
    /// For tasks, which begin with the first timer.
    this: Weak<Self>,
}

struct State {
    network: Network,
    /// When the task of the timers looks next, as elapsed time; `None` if it does not run.
    next_look: Option<Duration>,
}

impl Simulator {
    /// Creates a simulator that sends its reports to `events`.
    pub fn new(events: Arc<dyn ProviderEvents>, now: Now) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::new(State {
                network: Network::new(Settings::default()),
                next_look: None,
            }),
            events,
            now,
            started: Instant::now(),
            timers_changed: Notify::new(),
            clock_advanced: Notify::new(),
            this: Weak::clone(this),
        })
    }

    async fn take(&self, submission: Submission) -> Outcome {
        let account = submission.account.clone();
        match self.apply(|network, time| network.submit(submission, time)) {
            Decision::Accepted(provider_message_id) => Outcome::Accepted {
                provider_message_id,
            },
            Decision::Silent { delay } => {
                if let Some(delay) = delay {
                    self.hang(&account, delay).await;
                }
                Outcome::Lost(error("timeout", "no response before the time-out", ""))
            }
            Decision::Refused(refusal) => refused(&refusal),
            Decision::TooManyRequests { after } => Outcome::Later {
                after: Some(after.unwrap_or(BUSY)),
                error: error("throttled", "too many requests; try again later", "20429"),
            },
            Decision::ServerError => {
                Outcome::Lost(error("server_error", "the server has failed", "20500"))
            }
        }
    }

    /// Applies an event to the state machine and executes the effects.
    fn apply<T>(&self, event: impl FnOnce(&mut Network, Time) -> T) -> T {
        let time = self.time();
        let mut state = self.state.lock();
        let value = event(&mut state.network, time);
        let effects = state.network.take_effects();
        let looked = state.next_look;
        let next = state.network.next_tick();
        let is_earlier = next.is_some_and(|next| looked.is_none_or(|looked| next < looked));
        if is_earlier {
            state.next_look = next;
        }
        drop(state);
        // Without it the simulator is about to be dropped.
        let Some(this) = self.this.upgrade() else {
            return value;
        };
        for Effect::Send { id, webhook } in effects {
            let this = Arc::clone(&this);
            tokio::spawn(async move { this.report(id, &webhook).await });
        }
        match looked {
            Some(_) if is_earlier => self.timers_changed.notify_one(),
            None if is_earlier => {
                tokio::spawn(this.run_timers());
            }
            Some(_) | None => {}
        }
        value
    }

    /// Runs until no timer is left.
    async fn run_timers(self: Arc<Self>) {
        while let Some(at) = self.next_look() {
            tokio::select! {
                () = sleep_until(at) => {}
                () = self.timers_changed.notified() => {}
            }
            self.apply(Network::tick);
        }
    }

    fn next_look(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        state.next_look = state.network.next_tick();
        let at = state.next_look?;
        Some(self.started.checked_add(at).unwrap_or(self.started))
    }

    /// Passes a report on until it is accepted.
    async fn report(&self, id: u64, webhook: &Webhook) {
        if let Some(report) = report_of(webhook) {
            let mut wait = FIRST_RETRY;
            while self.events.report(report.clone()).await == Err(RetryReport) {
                sleep(wait).await;
                wait = (wait * 2).min(MAX_RETRY);
            }
        }
        let result = WebhookResult::Answered(204);
        self.apply(|network, _| network.webhook_finished(id, &webhook.sid, result));
    }

    /// Returns after this time on the clock of an account.
    async fn hang(&self, account: &str, delay: Duration) {
        let elapsed = || self.state.lock().network.elapsed(account, self.time());
        let end = elapsed().saturating_add(delay);
        loop {
            // Before the check, so that no change is missed.
            let advanced = self.clock_advanced.notified();
            let left = end.saturating_sub(elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left) => {}
                () = advanced => {}
            }
        }
    }

    fn time(&self) -> Time {
        Time {
            elapsed: self.started.elapsed(),
            now: (self.now)(),
        }
    }
}

fn refused(refusal: &Refusal) -> Outcome {
    let code = refusal.code.to_string();
    let error = error(refusal.word(), &refusal.message, &code);
    if refusal.status == http::StatusCode::TOO_MANY_REQUESTS {
        return Outcome::Later { after: None, error };
    }
    Outcome::Refused(error)
}

/// Returns the report of a webhook; `None` if it has no message of the application.
fn report_of(webhook: &Webhook) -> Option<ProviderReport> {
    let status = match webhook.status {
        Status::Sent => ReportStatus::Sent,
        Status::Delivered => ReportStatus::Delivered,
        Status::Undelivered => ReportStatus::Undelivered,
        Status::Accepted
        | Status::Scheduled
        | Status::Queued
        | Status::Canceled
        | Status::Received => return None,
    };
    let unreachable = |code: u32| {
        error(
            "unreachable",
            "the handset cannot be reached",
            &code.to_string(),
        )
    };
    Some(ProviderReport {
        provider: NAME,
        owner: Owner::parse(&webhook.account),
        message: ReportedMessage::Message(message_id(&webhook.sid)?),
        provider_message_id: None,
        status,
        error: webhook.error.map(unreachable),
        occurred_at: webhook.occurred_at,
    })
}

fn error(code: &str, message: &str, provider_code: &str) -> ReportedError {
    ReportedError {
        code: code.to_owned(),
        message: message.to_owned(),
        provider_code: provider_code.to_owned(),
    }
}

/// Returns the provider's id. It depends on the message only, because this provider is idempotent.
fn provider_id(message_id: MessageId) -> String {
    format!("{ID_PREFIX}{message_id}")
}

fn message_id(provider_id: &str) -> Option<MessageId> {
    MessageId::parse(provider_id.strip_prefix(ID_PREFIX)?)
}

fn media(attachments: Vec<OutboundAttachment>) -> Vec<NewMedia> {
    let media = attachments.into_iter().map(|attachment| NewMedia {
        url: match attachment.content {
            OutboundContent::Url(url) => url,
            OutboundContent::Stored(_) => String::new(),
        },
        content_type: attachment.content_type,
        content: None, // only its presence is kept
    });
    media.collect()
}

#[async_trait]
impl TextProvider for Simulator {
    async fn send_text(&self, text: Text) -> Outcome {
        let Text {
            hand_over: HandOver { owner, attempt, .. },
            from,
            to,
            body,
            attachments,
        } = text;
        self.take(Submission {
            account: owner.as_str().to_owned(),
            sid: Some(provider_id(attempt.message_id)),
            from,
            to,
            body,
            media: media(attachments),
            ..Submission::default()
        })
        .await
    }
}

#[async_trait]
impl MailProvider for Simulator {
    async fn send_mail(&self, mail: Mail) -> Outcome {
        let Mail {
            hand_over: HandOver { owner, attempt, .. },
            from,
            to,
            cc: _,
            subject,
            body,
            html_body: _,
            attachments,
        } = mail;
        self.take(Submission {
            account: owner.as_str().to_owned(),
            sid: Some(provider_id(attempt.message_id)),
            from,
            to,
            subject,
            body,
            media: media(attachments),
            ..Submission::default()
        })
        .await
    }
}

impl SimulatedNetwork for Simulator {
    fn sent(&self, query: &SentQuery) -> Vec<SentMessage> {
        let SentQuery { owner, to, limit } = query;
        let state = self.state.lock();
        let messages = state.network.messages(owner.as_str());
        messages
            .filter(|message| to.as_ref().is_none_or(|to| *to == message.to))
            .filter_map(|message| sent_message(message, owner, message_id(&message.sid)))
            .take(*limit)
            .collect()
    }

    fn set_script(&self, owner: &Owner, script: Script) -> Result<(), NetworkError> {
        self.apply(|network, _| network.set_script(owner.as_str(), script))
    }

    fn advance_clock(&self, owner: &Owner, by: Duration) -> Result<Timestamp, NetworkError> {
        let now = self.apply(|network, time| network.advance_clock(owner.as_str(), by, time));
        self.clock_advanced.notify_waiters();
        now
    }

    fn webhooks(&self, query: &WebhookQuery) -> Vec<WebhookRecord> {
        let WebhookQuery {
            owner,
            provider_message_id,
            limit,
        } = query;
        let state = self.state.lock();
        let webhooks = state
            .network
            .webhooks(owner.as_str())
            .filter(|(_, webhook)| {
                provider_message_id
                    .as_ref()
                    .is_none_or(|sid| *sid == webhook.sid)
            });
        webhooks
            .map(|(id, webhook)| webhook_record(id, webhook))
            .take(*limit)
            .collect()
    }

    fn replay_webhook(&self, owner: &Owner, id: &str) -> Result<WebhookRecord, NetworkError> {
        let id = webhook_id(id).ok_or(NetworkError::UnknownWebhook)?;
        self.apply(|network, _| {
            let webhook = network.replay_webhook(owner.as_str(), id)?;
            Ok(webhook_record(id, webhook))
        })
    }
}

impl Resume for Simulator {
    fn resume(&self, owner: Owner, message_id: MessageId, to: &str) {
        let sid = provider_id(message_id);
        self.apply(|network, time| network.resume(owner.as_str(), &sid, to, time));
    }
}
