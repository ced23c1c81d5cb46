//! Senders: our addresses, from which messages are sent and at which they are received.

mod create;
mod delete;
mod edit;
mod get;

pub use create::NewSender;
pub use edit::SenderEdit;

use parlance_domain::{Channel, SenderId};

use crate::App;
use crate::error::{Error, Reason, Result};

impl App {
    /// The provider of a sender that names none.
    fn default_provider(&self, channel: Channel) -> String {
        let provider = self.settings.providers.default_of(channel);
        provider.map_or_else(String::new, |provider| provider.name.to_owned())
    }

    /// Checks that the provider is configured in this installation, with these credentials, and carries the channel.
    fn check_provider(&self, channel: Channel, provider: &str, credentials: &str) -> Result<()> {
        let Some(provider) = self.settings.providers.get(provider) else {
            let known: Vec<_> = self.settings.providers.all().map(|it| it.name).collect();
            let known = known.join(", ");
            return Err(Error::new(
                Reason::NoProvider,
                format!("this installation has no such provider; it has: {known}"),
            ));
        };
        if !provider.carries(channel) {
            let name = provider.name;
            return Err(Error::new(
                Reason::NoProvider,
                format!("{name} does not carry {channel} messages; name another provider"),
            ));
        }
        if !credentials.is_empty() && !provider.credentials.iter().any(|it| it == credentials) {
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
