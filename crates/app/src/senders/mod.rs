//! Senders: our addresses, from which messages are sent and at which they are received.

mod create;
mod delete;
mod edit;
mod get;

pub use create::NewSender;
pub use edit::SenderEdit;

use parlance_domain::SenderId;

use crate::App;
use crate::error::{Error, Reason, Result};

impl App {
    /// The provider of a sender that names none.
    pub(crate) fn default_provider(&self) -> String {
        self.settings.providers.first().cloned().unwrap_or_default()
    }

    /// Checks that the provider and the credentials are configured in this installation.
    fn check_provider(&self, provider: &str, credentials: &str) -> Result<()> {
        if !self
            .settings
            .providers
            .iter()
            .any(|known| known == provider)
        {
            let known = self.settings.providers.join(", ");
            return Err(Error::new(
                Reason::NoProvider,
                format!("this installation has no such provider; it has: {known}"),
            ));
        }
        if !credentials.is_empty() {
            return Err(Error::new(
                Reason::NoCredentials,
                "the configuration has no credentials of this name",
            ));
        }
        Ok(())
    }
}

pub(crate) fn sender_not_found(id: SenderId) -> Error {
    Error::new(Reason::SenderNotFound, "no such sender").with("sender_id", id)
}
