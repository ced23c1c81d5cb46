//! Tests of the adapter: requests against a real HTTP server, and webhooks.

mod calls;
mod failures;
mod look_up;
mod server;
mod signatures;
mod webhooks;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::{Channel, MessageId, Owner, Sender, SenderId, SenderStatus, Timestamp};

use super::*;
use crate::{
    AttemptId, EventRelay, HandOver, InboundError, InboundMessage, ProviderEvents, ProviderReport,
    RetryReport, Secret, Text,
};

const ACCOUNT_SID: &str = "ACtest";
const TOKEN: &str = "token of the account";
const OURS: &str = "+15550001111";
const THEIRS: &str = "+15552223333";
/// Time limit of calls that are answered: reached only in a failure.
const LONG: Duration = Duration::from_mins(1);
/// 2026-11-30T12:00:00Z.
const NOW: Timestamp = Timestamp::from_micros(1_796_040_000_000_000);

fn account(base_url: &str) -> Account {
    Account {
        name: NAME.to_owned(),
        account_sid: ACCOUNT_SID.to_owned(),
        login: Login {
            user: ACCOUNT_SID.to_owned(),
            password: Secret::from(TOKEN.to_owned()),
        },
        auth_tokens: vec![Secret::from(TOKEN.to_owned())],
        shared_keys: Vec::new(),
        base_url: base_url.to_owned(),
    }
}

fn context(events: Arc<dyn ProviderEvents>) -> ProviderContext {
    ProviderContext {
        events,
        now: Arc::new(|| NOW),
    }
}

/// The provider with accounts at a server.
fn provider_at(accounts: Vec<Account>, timeout: Duration) -> Provider {
    let context = context(Arc::new(EventRelay::default()));
    provider(accounts, timeout, &context).unwrap()
}

fn message_id() -> MessageId {
    MessageId::new(NOW, [7; 10])
}

fn sender() -> Sender {
    Sender {
        id: SenderId::new(NOW, [1; 10]),
        owner: Owner::default(),
        channel: Channel::Sms,
        address: OURS.to_owned(),
        provider: NAME.to_owned(),
        credentials: String::new(),
        status: SenderStatus::Active,
        segments_per_second: 0,
        default_expiry: None,
        reply_domain: String::new(),
        messaging_service: String::new(),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

fn hand_over(sender: Sender) -> HandOver {
    HandOver {
        owner: Owner::default(),
        attempt: AttemptId {
            message_id: message_id(),
            number: 1,
        },
        sender: Arc::new(sender),
        callback_url: Some("https://us.example/webhooks/twilio/status?message=1".to_owned()),
        expires_at: None,
    }
}

fn text() -> Text {
    Text {
        hand_over: hand_over(sender()),
        from: OURS.to_owned(),
        to: THEIRS.to_owned(),
        body: "hello".to_owned(),
        attachments: Vec::new(),
    }
}

/// Records what the webhooks pass on. It accepts everything, unless it is set to refuse.
#[derive(Default)]
struct Recorder {
    refuses: Mutex<Option<InboundError>>,
    reports: Mutex<Vec<ProviderReport>>,
    inbound: Mutex<Vec<InboundMessage>>,
}

#[async_trait]
impl ProviderEvents for Recorder {
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport> {
        if self.refuses.lock().unwrap().is_some() {
            return Err(RetryReport);
        }
        self.reports.lock().unwrap().push(report);
        Ok(())
    }

    async fn inbound(&self, message: InboundMessage) -> Result<(), InboundError> {
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return Err(error);
        }
        self.inbound.lock().unwrap().push(message);
        Ok(())
    }
}
