//! A provider inside the process: takes everything, delivers within a second, and behaves as the recipient's address asks.
//!
//! It is idempotent, as a good provider is: a message that is handed over twice is there once. What it has seen it keeps in
//! memory only; after a restart it is told which messages it had taken, and goes on reporting about them.

mod script;
mod simulated_network;
#[cfg(test)]
mod tests;

pub use script::{Behaviour, MAGIC_RECIPIENTS, MagicRecipient};
pub use simulated_network::{Seen, SeenQuery};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{MessageId, Owner};

use crate::{
    Mail, MailProvider, Now, Outcome, ProviderReport, Reports, RetryReport, Text, TextProvider,
};
use simulated_network::FarSide;

/// The name of this provider.
pub const NAME: &str = "simulator";

/// How long a delivery takes.
const DELIVERY: Duration = Duration::from_millis(250);
/// How long a provider waits whose report was not taken; doubled each time, up to the longest.
const RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// How long a recipient that answers "429" wants to be left alone.
const BUSY: Duration = Duration::from_millis(300);

/// The simulator.
pub struct Simulator {
    far_side: FarSide,
    reports: Arc<dyn Reports>,
    now: Now,
}

impl Simulator {
    /// A simulator that tells what happens to `reports`.
    pub fn new(reports: Arc<dyn Reports>, now: Now) -> Arc<Self> {
        Arc::new(Self {
            far_side: FarSide::default(),
            reports,
            now,
        })
    }

    /// What the far side has seen, newest first.
    pub fn seen(&self, query: &SeenQuery) -> Vec<Seen> {
        self.far_side.query(query)
    }

    /// A message that was taken before a restart: goes on where it was.
    pub fn resume(&self, owner: Owner, message_id: MessageId, to: &str) {
        self.deliver(owner, message_id, Behaviour::of(to));
    }

    fn take(&self, seen: Seen) -> Outcome {
        let behaviour = Behaviour::of(&seen.to);
        let (owner, message_id) = (seen.owner.clone(), seen.message_id);
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
                    "there is no such recipient",
                    "21211",
                ));
            }
            Behaviour::Busy if self.far_side.first_knock(message_id) => {
                let error = error("throttled", "too many requests; later", "20429");
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
        let provider_message_id = seen.provider_message_id.clone();
        if self.far_side.accept(seen) {
            self.deliver(owner, message_id, behaviour);
        }
        if behaviour == Behaviour::AnswerLost {
            return Outcome::Lost(error("timeout", "no answer in time", ""));
        }
        Outcome::Accepted {
            provider_message_id,
        }
    }

    /// Reports, in a task of its own, until it is heard.
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
        let (reports, now) = (Arc::clone(&self.reports), Arc::clone(&self.now));
        tokio::spawn(async move {
            tokio::time::sleep(DELIVERY).await;
            let report = ProviderReport {
                owner,
                message_id,
                status,
                error,
                occurred_at: now(),
            };
            let mut wait = RETRY;
            while reports.report(report.clone()).await == Err(RetryReport) {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_RETRY);
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

/// The same message gets the same id each time: this provider is idempotent.
fn provider_id(message_id: MessageId) -> String {
    format!("sim-{message_id}")
}

#[async_trait]
impl TextProvider for Simulator {
    async fn send_text(&self, text: Text) -> Outcome {
        let Text {
            owner,
            message_id,
            attempt: _,
            from,
            to,
            body,
            attachments,
        } = text;
        self.take(Seen {
            owner,
            message_id,
            provider_message_id: provider_id(message_id),
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
            owner,
            message_id,
            attempt: _,
            from,
            to,
            cc: _,
            subject,
            body,
            html_body: _,
            attachments,
        } = mail;
        self.take(Seen {
            owner,
            message_id,
            provider_message_id: provider_id(message_id),
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
