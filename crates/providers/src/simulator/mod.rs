//! Simulator: a provider inside the process that accepts every message, delivers it within a second, and takes special
//! actions for certain recipient addresses.
//!
//! It is idempotent: a message that is handed over twice is delivered once. Accepted messages are kept in memory only.
//! After a restart the application passes the unfinished messages to [`Resume::resume`], and the simulator continues to
//! report about them.

mod name;
mod recipients;
mod simulated_network;
#[cfg(test)]
mod tests;
mod webhooks;

pub use name::NAME;
pub use recipients::{Behaviour, MAGIC_RECIPIENTS, MagicRecipient};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{MessageId, Owner};

use crate::{
    HandOver, Mail, MailProvider, Now, Outcome, Provider, ProviderContext, ProviderEvents,
    ProviderReport, ReportedMessage, Resume, RetryReport, SentMessage, SentQuery, SimulatedNetwork,
    Text, TextProvider,
};
use simulated_network::Network;
use webhooks::SimulatorWebhooks;

/// Time from hand-over to delivery.
const DELIVERY: Duration = Duration::from_millis(250);
/// Delay before an unaccepted report is repeated; doubled each time, up to `MAX_RETRY`.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const MAX_RETRY: Duration = Duration::from_secs(10);
/// Delay that a busy recipient ("429") asks for.
const BUSY: Duration = Duration::from_millis(300);

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
    network: Network,
    events: Arc<dyn ProviderEvents>,
    now: Now,
}

impl Simulator {
    /// Creates a simulator that sends its reports to `events`.
    pub fn new(events: Arc<dyn ProviderEvents>, now: Now) -> Arc<Self> {
        Arc::new(Self {
            network: Network::default(),
            events,
            now,
        })
    }

    fn take(&self, sent: SentMessage) -> Outcome {
        let behaviour = Behaviour::of(&sent.to);
        let (owner, message_id) = (sent.owner.clone(), sent.message_id);
        match behaviour {
            Behaviour::OptedOut => {
                return Outcome::Refused(error(
                    "opted_out",
                    "the recipient has opted out",
                    "21610",
                ));
            }
            Behaviour::Invalid => {
                return Outcome::Refused(error(
                    "invalid_recipient",
                    "the recipient does not exist",
                    "21211",
                ));
            }
            Behaviour::Busy if self.network.defer_once(message_id) => {
                let error = error("throttled", "too many requests; try again later", "20429");
                return Outcome::Later {
                    after: Some(BUSY),
                    error,
                };
            }
            Behaviour::Busy
            | Behaviour::Delivered
            | Behaviour::Undelivered
            | Behaviour::AnswerLost => {}
        }
        let provider_message_id = sent.provider_message_id.clone();
        if self.network.accept(sent) {
            self.deliver(owner, message_id, behaviour);
        }
        if behaviour == Behaviour::AnswerLost {
            return Outcome::Lost(error("timeout", "no response before the time-out", ""));
        }
        Outcome::Accepted {
            provider_message_id,
        }
    }

    /// Reports the outcome from a task of its own, until the report is accepted.
    fn deliver(&self, owner: Owner, message_id: MessageId, behaviour: Behaviour) {
        let (status, error) = match behaviour {
            Behaviour::Undelivered => (
                ReportStatus::Undelivered,
                Some(error(
                    "unreachable",
                    "the handset cannot be reached",
                    "30003",
                )),
            ),
            Behaviour::Delivered
            | Behaviour::AnswerLost
            | Behaviour::Busy
            | Behaviour::OptedOut
            | Behaviour::Invalid => (ReportStatus::Delivered, None),
        };
        let (events, now) = (Arc::clone(&self.events), Arc::clone(&self.now));
        tokio::spawn(async move {
            tokio::time::sleep(DELIVERY).await;
            let report = ProviderReport {
                provider: NAME,
                owner: Some(owner),
                message: ReportedMessage::Message(message_id),
                provider_message_id: None,
                status,
                error,
                occurred_at: now(),
            };
            let mut wait = FIRST_RETRY;
            while events.report(report.clone()).await == Err(RetryReport) {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(MAX_RETRY);
            }
        });
    }
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
    format!("sim-{message_id}")
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
        self.take(SentMessage {
            owner,
            message_id: attempt.message_id,
            provider_message_id: provider_id(attempt.message_id),
            from,
            to,
            subject: String::new(),
            body,
            attachments: attachments.len(),
            accepted_at: (self.now)(),
            times_accepted: 1,
        })
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
        self.take(SentMessage {
            owner,
            message_id: attempt.message_id,
            provider_message_id: provider_id(attempt.message_id),
            from,
            to,
            subject,
            body,
            attachments: attachments.len(),
            accepted_at: (self.now)(),
            times_accepted: 1,
        })
    }
}

impl SimulatedNetwork for Simulator {
    fn sent(&self, query: &SentQuery) -> Vec<SentMessage> {
        self.network.query(query)
    }
}

impl Resume for Simulator {
    fn resume(&self, owner: Owner, message_id: MessageId, to: &str) {
        self.deliver(owner, message_id, Behaviour::of(to));
    }
}
