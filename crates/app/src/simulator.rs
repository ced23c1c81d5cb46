//! Replies of the simulator's recipients, received as from any provider.

use parlance_domain::{Address, Channel, Json, Message, Owner};
use parlance_providers::simulator;

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
    /// Receives a reply of a simulated recipient.
    pub async fn reply_as(&self, owner: &Owner, reply: Reply) -> Result<Message> {
        let Reply {
            channel,
            ours,
            theirs,
            subject,
            body,
        } = reply;
        if let Some(sender) = self.db.sender_of_address(channel, ours.as_str()).await?
            && sender.owner == *owner
            && sender.provider != simulator::NAME
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
            role: None,
            cc_addresses: Vec::new(),
            subject,
            body,
            html_body: String::new(),
            attachments: Vec::new(),
            tokens_used: None,
            latency_ms: None,
            metadata: Json::default(),
        };
        let received = ReceiveMessage {
            request_id: None,
            message,
            provider: simulator::NAME.to_owned(),
            // Each reply is unique: two equal texts in a row are two messages.
            provider_message_id: format!("sim-in-{}", self.message_id(self.now())),
            received_at: None,
        };
        Ok(self.receive_message(owner, received).await?.value)
    }
}
