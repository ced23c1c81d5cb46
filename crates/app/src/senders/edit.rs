//! Edits a sender.

use std::time::Duration;

use parlance_domain::{Channel, Owner, Sender, SenderId, SenderStatus};

use super::sender_not_found;
use crate::App;
use crate::error::{Error, Result};
use crate::write::{check_etag, ensure_updated};

/// Request of `edit_sender`: `None` leaves a field unchanged, `Some(None)` clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderEdit {
    /// Id of the sender.
    pub id: SenderId,
    /// Expected etag; unconditional without it.
    pub etag: Option<String>,
    /// The provider; empty for the installation's default.
    pub provider: Option<String>,
    /// Name of the credentials in the configuration.
    pub credentials: Option<String>,
    /// Whether messages are delivered.
    pub status: Option<SenderStatus>,
    /// Maximum SMS segments per second.
    pub segments_per_second: Option<i32>,
    /// Default time until a message expires.
    pub default_expiry: Option<Option<Duration>>,
    /// Domain of reply addresses.
    pub reply_domain: Option<String>,
    /// Id of the provider's group of numbers.
    pub messaging_service: Option<String>,
}

impl App {
    /// Edits a sender.
    pub async fn edit_sender(&self, owner: &Owner, edit: SenderEdit) -> Result<Sender> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_sender(edit.id)
            .await?
            .ok_or_else(|| sender_not_found(edit.id))?;
        check_etag(edit.etag.as_deref(), found.version)?;
        let mut sender = self.edited_sender(&found, edit);
        if sender.channel != Channel::Email && !sender.reply_domain.is_empty() {
            return Err(Error::invalid_field(
                "sender.reply_domain",
                "only mail has one; leave it out",
            ));
        }
        if sender.channel != Channel::Sms && !sender.messaging_service.is_empty() {
            return Err(Error::invalid_field(
                "sender.messaging_service",
                "only SMS has one; leave it out",
            ));
        }
        if sender == found {
            tx.rollback().await?;
            return Ok(found);
        }
        self.check_provider(sender.channel, &sender.provider, &sender.credentials)?;
        sender.updated_at = tx.now();
        sender.version += 1;
        ensure_updated(tx.update_sender(&found, &sender).await?)?;
        self.commit(tx).await?;
        Ok(sender)
    }

    fn edited_sender(&self, found: &Sender, edit: SenderEdit) -> Sender {
        let SenderEdit {
            id: _,
            etag: _,
            provider,
            credentials,
            status,
            segments_per_second,
            default_expiry,
            reply_domain,
            messaging_service,
        } = edit;
        let provider = provider.map(|name| {
            if name.is_empty() {
                self.default_provider(found.channel)
            } else {
                name
            }
        });
        Sender {
            provider: provider.unwrap_or_else(|| found.provider.clone()),
            credentials: credentials.unwrap_or_else(|| found.credentials.clone()),
            status: status.unwrap_or(found.status),
            segments_per_second: segments_per_second.unwrap_or(found.segments_per_second),
            default_expiry: default_expiry.unwrap_or(found.default_expiry),
            reply_domain: reply_domain.unwrap_or_else(|| found.reply_domain.clone()),
            messaging_service: messaging_service.unwrap_or_else(|| found.messaging_service.clone()),
            ..found.clone()
        }
    }
}
