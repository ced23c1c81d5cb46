//! Registry of the providers, by name.

use std::collections::HashMap;
use std::sync::Arc;

use parlance_domain::message::ReportedError;
use parlance_domain::{Channel, Message};
use parlance_providers::{Mail, MailProvider, Outcome, Text, TextProvider};

/// The providers of this installation, by name.
#[derive(Clone, Default)]
pub struct ProviderRegistry {
    texts: HashMap<String, Arc<dyn TextProvider>>,
    mails: HashMap<String, Arc<dyn MailProvider>>,
}

impl ProviderRegistry {
    /// Adds a provider of text messages.
    #[must_use]
    pub fn with_texts(mut self, name: &str, provider: Arc<dyn TextProvider>) -> Self {
        self.texts.insert(name.to_owned(), provider);
        self
    }

    /// Adds a provider of mail.
    #[must_use]
    pub fn with_mails(mut self, name: &str, provider: Arc<dyn MailProvider>) -> Self {
        self.mails.insert(name.to_owned(), provider);
        self
    }

    /// Hands a message over to the provider that its sender names.
    pub(super) async fn hand_over(&self, message: Message, attempt: i32) -> Outcome {
        let name = message.provider.clone().unwrap_or_default();
        match message.channel {
            Channel::Sms | Channel::Mms => match self.texts.get(&name) {
                Some(provider) => provider.send_text(text(message, attempt)).await,
                None => no_provider(),
            },
            Channel::Email => match self.mails.get(&name) {
                Some(provider) => provider.send_mail(mail(message, attempt)).await,
                None => no_provider(),
            },
            Channel::Chat => no_provider(),
        }
    }
}

/// Outcome for a provider that was removed from the configuration while senders still name it. The delivery is
/// retried: the provider may be configured again.
fn no_provider() -> Outcome {
    let error = ReportedError {
        code: "no_provider".to_owned(),
        message: "this installation no longer has the sender's provider".to_owned(),
        provider_code: String::new(),
    };
    Outcome::Later { after: None, error }
}

fn text(message: Message, attempt: i32) -> Text {
    Text {
        owner: message.owner,
        message_id: message.id,
        attempt,
        from: message.from_address,
        to: message.to_address,
        body: message.body,
        attachments: message.attachments,
    }
}

fn mail(message: Message, attempt: i32) -> Mail {
    Mail {
        owner: message.owner,
        message_id: message.id,
        attempt,
        from: message.from_address,
        to: message.to_address,
        cc: message.cc_addresses,
        subject: message.subject,
        body: message.body,
        html_body: message.html_body,
        attachments: message.attachments,
    }
}
