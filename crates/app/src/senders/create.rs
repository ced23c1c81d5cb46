//! Creates a sender.

use std::time::Duration;

use parlance_domain::{Address, Channel, Owner, Sender, SenderStatus};

use crate::App;
use crate::error::{Error, Reason, Result};

/// Request of `create_sender`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSender {
    /// `Sms` or `Email`.
    pub channel: Channel,
    /// The address.
    pub address: Address,
    /// The provider; empty for the installation's default.
    pub provider: String,
    /// Name of the credentials in the configuration; may be empty.
    pub credentials: String,
    /// Whether messages are delivered.
    pub status: SenderStatus,
    /// Maximum SMS segments per second; 0 for the provider's own limit.
    pub segments_per_second: i32,
    /// Default time until a message expires.
    pub default_expiry: Option<Duration>,
    /// Domain of reply addresses; mail only.
    pub reply_domain: String,
    /// Id of the provider's group of numbers; SMS only, may be empty.
    pub messaging_service: String,
}

impl App {
    /// Creates a sender.
    pub async fn create_sender(&self, owner: &Owner, request: NewSender) -> Result<Sender> {
        let provider = if request.provider.is_empty() {
            self.default_provider(request.channel)
        } else {
            request.provider
        };
        self.check_provider(request.channel, &provider, &request.credentials)?;
        let mut tx = self.begin(owner).await?;
        let now = tx.now();
        let sender = Sender {
            id: self.sender_id(now),
            owner: owner.clone(),
            channel: request.channel,
            address: request.address.to_string(),
            provider,
            credentials: request.credentials,
            status: request.status,
            segments_per_second: request.segments_per_second,
            default_expiry: request.default_expiry,
            reply_domain: request.reply_domain,
            messaging_service: request.messaging_service,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        if !tx.insert_sender(&sender).await? {
            return Err(taken(
                tx.sender_of_address(sender.channel, &sender.address)
                    .await?,
                owner,
            ));
        }
        self.commit(tx).await?;
        Ok(sender)
    }
}

/// Reveals the sender's id only to its owner.
fn taken(by: Option<Sender>, owner: &Owner) -> Error {
    let error = Error::new(Reason::SenderExists, "this address is a sender already");
    match by {
        Some(sender) if sender.owner == *owner => error.with("sender_id", sender.id),
        _ => error,
    }
}
