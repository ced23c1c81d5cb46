//! Reads an attachment for a provider.

use super::AttachmentReader;
use super::download::not_found;
use crate::App;
use crate::attachment_link::AttachmentLink;
use crate::error::Result;

impl App {
    /// Opens an attachment for the provider that was given a link to it.
    pub async fn open_linked_attachment(
        &self,
        provider: &str,
        token: &str,
    ) -> Result<AttachmentReader> {
        let provider = self.settings.providers.get(provider);
        let key = provider.and_then(|provider| provider.link_key.as_ref());
        let link = key.and_then(|key| AttachmentLink::verify(token, key, self.now()));
        let AttachmentLink {
            message_id,
            attachment_id,
            ..
        } = link.ok_or_else(not_found)?;
        let owner = self.db.owner_of_message(message_id).await?;
        let owner = owner.ok_or_else(not_found)?;
        self.open_attachment(&owner, message_id, attachment_id)
            .await
    }
}
