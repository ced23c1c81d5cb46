//! A provider as the registry knows it: its name, and what it offers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parlance_domain::{Channel, MessageId, Owner, Timestamp};

use crate::{
    CancelResult, HandOver, LinkKey, LookUpQuery, LookUpResult, Mail, Outcome, ProviderEvents,
    SimulatedNetwork, Text, Webhooks,
};

/// Clock of the providers.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the application gives to every provider.
#[derive(Clone)]
pub struct ProviderContext {
    /// Receiver of status reports and inbound messages.
    pub events: Arc<dyn ProviderEvents>,
    /// The clock.
    pub now: Now,
}

impl fmt::Debug for ProviderContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderContext").finish_non_exhaustive()
    }
}

/// Provider of text messages.
#[async_trait]
pub trait TextProvider: Send + Sync + 'static {
    /// Hands over a message.
    async fn send_text(&self, text: Text) -> Outcome;
}

/// Provider of mail.
#[async_trait]
pub trait MailProvider: Send + Sync + 'static {
    /// Hands over a message.
    async fn send_mail(&self, mail: Mail) -> Outcome;
}

/// Provider that can cancel a message which it has accepted and not sent.
#[async_trait]
pub trait Cancel: Send + Sync + 'static {
    /// Cancels a message.
    async fn cancel(&self, hand_over: &HandOver, provider_message_id: &str) -> CancelResult;
}

/// Provider that can find out whether it has accepted an attempt.
#[async_trait]
pub trait LookUp: Send + Sync + 'static {
    /// Looks for an attempt whose answer was lost. It is called before the message is handed over again.
    async fn look_up(&self, query: &LookUpQuery) -> LookUpResult;
}

/// Provider that loses its state when the process ends.
pub trait Resume: Send + Sync + 'static {
    /// Continues with a message that was accepted before a restart, and has no final report.
    fn resume(&self, owner: Owner, message_id: MessageId, to: &str);
}

/// A provider. Every capability but the name is optional.
#[derive(Clone)]
pub struct Provider {
    /// The name in senders, messages and webhook paths.
    pub name: &'static str,
    /// Names of the credentials that it is configured with, besides the unnamed default.
    pub credentials: Vec<String>,
    /// Text messages.
    pub texts: Option<Arc<dyn TextProvider>>,
    /// Mail.
    pub mails: Option<Arc<dyn MailProvider>>,
    /// Requests that it sends to this service.
    pub webhooks: Option<Arc<dyn Webhooks>>,
    /// Cancellation of accepted messages.
    pub cancel: Option<Arc<dyn Cancel>>,
    /// Look-up of an attempt whose answer was lost.
    pub look_up: Option<Arc<dyn LookUp>>,
    /// Continuation after a restart.
    pub resume: Option<Arc<dyn Resume>>,
    /// Key of the URLs at which it fetches stored attachments, if it does not take the content itself.
    pub link_key: Option<LinkKey>,
    /// The simulated network, if no message of this provider leaves the machine.
    pub simulated_network: Option<Arc<dyn SimulatedNetwork>>,
}

impl Provider {
    /// A provider without capabilities, to add some by struct update syntax.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            credentials: Vec::new(),
            texts: None,
            mails: None,
            webhooks: None,
            cancel: None,
            look_up: None,
            resume: None,
            link_key: None,
            simulated_network: None,
        }
    }

    /// Whether it carries messages of a channel.
    pub const fn carries(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms | Channel::Mms => self.texts.is_some(),
            Channel::Email => self.mails.is_some(),
            Channel::Chat => false,
        }
    }

    /// Whether none of its messages leaves the machine.
    pub const fn is_simulated(&self) -> bool {
        self.simulated_network.is_some()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
