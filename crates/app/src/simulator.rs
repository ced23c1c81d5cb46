//! The recipients' side of a simulated provider: what arrived there, and replies.

use parlance_domain::message::Content;
use parlance_domain::{Address, Channel, Message, Owner};
use parlance_providers::{Provider, SimulatedNetwork};
pub use parlance_providers::{SentMessage, SentQuery};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::{ConversationTarget, NewMessage, ReceiveMessage};

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
}

impl App {
    /// The messages that the simulated network has accepted, newest first.
    pub fn sent_messages(&self, query: &SentQuery) -> Result<Vec<SentMessage>> {
        Ok(self.simulated()?.1.sent(query))
    }

    /// Receives a reply of a simulated recipient.
    pub async fn reply_as(&self, owner: &Owner, reply: Reply) -> Result<Message> {
        let Reply {
            channel,
            ours,
            theirs,
            subject,
            body,
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
            attachments: Vec::new(),
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
