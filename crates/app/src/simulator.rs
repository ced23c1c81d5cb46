//! The recipients' side of a simulated provider: what arrived there, and replies.

use std::time::Duration;

use parlance_domain::message::Content;
use parlance_domain::{Address, Channel, Message, Owner, Timestamp};
pub use parlance_providers::{
    Fault, FaultKind, NetworkError, Script, SentMessage, SentQuery, WebhookQuery, WebhookRecord,
    WebhookState,
};
use parlance_providers::{Provider, SimulatedNetwork};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::{ConversationTarget, NewAttachment, NewMessage, ReceiveMessage};

/// Reply of a simulated recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `Sms` or `Email`.
    pub channel: Channel,
    /// Our address, which receives the reply.
    pub ours: Address,
    /// The recipient's address.
    pub theirs: Address,
    /// The subject; mail only.
    pub subject: String,
    /// The text.
    pub body: String,
    /// The attachments; an SMS with any is an MMS.
    pub attachments: Vec<NewAttachment>,
}

impl App {
    /// The messages that the simulated network has accepted, newest first.
    pub fn sent_messages(&self, query: &SentQuery) -> Result<Vec<SentMessage>> {
        Ok(self.simulated()?.1.sent(query))
    }

    /// Replaces the owner's script of faults.
    pub fn set_script(&self, owner: &Owner, script: Script) -> Result<()> {
        Ok(self.simulated()?.1.set_script(owner, script)?)
    }

    /// Advances the owner's clock of the simulated network, and returns its new time.
    pub fn advance_clock(&self, owner: &Owner, by: Duration) -> Result<Timestamp> {
        Ok(self.simulated()?.1.advance_clock(owner, by)?)
    }

    /// The reports of the simulated network, newest first.
    pub fn list_webhooks(&self, query: &WebhookQuery) -> Result<Vec<WebhookRecord>> {
        Ok(self.simulated()?.1.webhooks(query))
    }

    /// Repeats a report of the simulated network.
    pub fn replay_webhook(&self, owner: &Owner, id: &str) -> Result<WebhookRecord> {
        Ok(self.simulated()?.1.replay_webhook(owner, id)?)
    }

    /// Receives a reply of a simulated recipient.
    pub async fn reply_as(&self, owner: &Owner, reply: Reply) -> Result<Message> {
        let Reply {
            channel,
            ours,
            theirs,
            subject,
            body,
            attachments,
        } = reply;
        let provider = self.simulated()?.0.name;
        if let Some(sender) = self.db.sender_of_address(channel, ours.as_str()).await?
            && sender.owner == *owner
            && sender.provider != provider
        {
            return Err(Error::new(
                Reason::NoProvider,
                "this address belongs to another provider; only the simulator's recipients can reply",
            ));
        }
        let target = ConversationTarget::Pair {
            channel,
            ours,
            theirs,
            user: String::new(),
        };
        let message = NewMessage {
            target,
            content: Content {
                subject,
                body,
                ..Content::default()
            },
            attachments,
        };
        let received = ReceiveMessage {
            request_id: None,
            message,
            provider: provider.to_owned(),
            // Each reply is unique: two equal texts in a row are two messages.
            provider_message_id: format!("sim-in-{}", self.message_id(self.now())),
            received_at: None,
        };
        Ok(self.receive_message(owner, received).await?.value)
    }

    fn simulated(&self) -> Result<(&Provider, &dyn SimulatedNetwork)> {
        let mut providers = self.settings.providers.all();
        let found = providers.find_map(|provider| {
            let network = provider.simulated_network.as_deref()?;
            Some((provider, network))
        });
        found.ok_or_else(|| {
            Error::new(
                Reason::NoProvider,
                "no provider of this installation is simulated",
            )
        })
    }
}

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Self {
        let reason = match error {
            NetworkError::UnknownWebhook => Reason::WebhookNotFound,
            NetworkError::TooManyOwners | NetworkError::TooManyWaiting => Reason::SimulatorFull,
            NetworkError::ClockOverflow => {
                return Self::invalid_field("by", error.to_string());
            }
        };
        Self::new(reason, error.to_string())
    }
}
