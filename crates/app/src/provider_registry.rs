//! Registry of the providers, by name.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parlance_domain::message::ReportedError;
use parlance_domain::{
    Attachment, AttachmentId, Channel, Message, MessageId, MessageStatus, Owner, Timestamp,
};
use parlance_providers::{
    AttemptId, Content, ContentError, ContentSource, HandOver, KnownMessages, LinkKey, LookUpQuery,
    LookUpResult, Mail, OutboundAttachment, OutboundContent, Outcome, Provider, Text,
};
use parlance_storage::Database;
use parlance_storage::db::delivery::Claim;

use crate::attachment_link::AttachmentLink;

/// Path of the webhook to which providers report the status of an attempt.
const STATUS_PATH: &str = "status";

/// The providers of this installation. The first one that carries a channel is the default of its senders.
#[derive(Debug, Clone, Default)]
pub struct ProviderRegistry {
    providers: Vec<Provider>,
    /// URL of this service for providers, without a slash at the end.
    public_url: String,
}

impl ProviderRegistry {
    /// Creates a registry without providers. Providers call this service at `public_url`.
    pub fn new(public_url: &str) -> Self {
        Self {
            providers: Vec::new(),
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// Adds a provider.
    #[must_use]
    pub fn with(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Returns a provider by its name.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.all().find(|provider| provider.name == name)
    }

    /// All providers.
    pub fn all(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    /// Returns the provider of new senders of a channel.
    pub(crate) fn default_of(&self, channel: Channel) -> Option<&Provider> {
        self.all().find(|provider| provider.carries(channel))
    }

    /// Returns the URL of a provider's webhooks, without a slash at the end.
    pub fn webhook_url(&self, provider: &str) -> String {
        format!("{}/webhooks/{provider}", self.public_url)
    }

    /// Returns the path of the public URL, without a slash at the end; empty for none.
    pub fn public_path(&self) -> &str {
        let rest = self.public_url.split_once("://").map(|(_, rest)| rest);
        let rest = rest.unwrap_or_default();
        rest.find('/')
            .and_then(|at| rest.get(at..))
            .unwrap_or_default()
    }

    /// Hands a message over to its provider.
    pub(crate) async fn hand_over(
        &self,
        database: &Database,
        mut message: Message,
        claim: &Claim,
    ) -> Outcome {
        let name = message.provider.as_deref().unwrap_or_default();
        let Some(provider) = self.get(name) else {
            return no_provider();
        };
        let hand_over = self.describe(provider, &message, claim);
        if (claim.answer_lost || message.progress.status == MessageStatus::Uncertain)
            && let Some(accepted) = look_up(provider, database, &hand_over, &message).await
        {
            return accepted;
        }
        let links = self.links(provider, message.id, claim);
        let attachments = attachments(database, &mut message, &links);
        match message.channel {
            Channel::Sms | Channel::Mms => match &provider.texts {
                Some(texts) => texts.send_text(text(hand_over, message, attachments)).await,
                None => no_provider(),
            },
            Channel::Email => match &provider.mails {
                Some(mails) => mails.send_mail(mail(hand_over, message, attachments)).await,
                None => no_provider(),
            },
            Channel::Chat => no_provider(),
        }
    }

    fn links<'a>(&self, provider: &'a Provider, message_id: MessageId, claim: &Claim) -> Links<'a> {
        Links {
            key: provider.link_key.as_ref(),
            base: format!("{}/media/{}", self.public_url, provider.name),
            message_id,
            handed_over: claim.lease_until,
        }
    }

    fn describe(&self, provider: &Provider, message: &Message, claim: &Claim) -> HandOver {
        let attempt = AttemptId {
            message_id: message.id,
            number: claim.attempt,
        };
        let callback_url = provider.webhooks.is_some().then(|| {
            let base = self.webhook_url(provider.name);
            let AttemptId { message_id, number } = attempt;
            format!("{base}/{STATUS_PATH}?message={message_id}&attempt={number}")
        });
        HandOver {
            owner: message.owner.clone(),
            attempt,
            sender: Arc::clone(&claim.sender),
            callback_url,
            expires_at: message.expires_at,
        }
    }
}

/// Asks a provider about the previous attempt, if its answer was lost; returns the acceptance, if there was one.
async fn look_up(
    provider: &Provider,
    database: &Database,
    hand_over: &HandOver,
    message: &Message,
) -> Option<Outcome> {
    let look_up = provider.look_up.as_ref()?;
    let number = hand_over.attempt.number - 1;
    let previous = HandOver {
        attempt: AttemptId {
            number,
            ..hand_over.attempt
        },
        ..hand_over.clone()
    };
    let query = LookUpQuery {
        hand_over: previous,
        from: message.from_address.clone(),
        to: message.to_address.clone(),
        body: message.body.clone(),
        attachments: message.attachments.len(),
        not_before: message
            .created_at
            .max(message.send_at.unwrap_or(message.created_at)),
        known: Arc::new(StoredMessages {
            database: database.clone(),
            owner: message.owner.clone(),
            provider: provider.name,
        }),
    };
    match look_up.look_up(&query).await {
        LookUpResult::Accepted {
            provider_message_id,
        } => Some(Outcome::Accepted {
            provider_message_id,
        }),
        LookUpResult::NotFound | LookUpResult::Unknown => None,
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

fn text(hand_over: HandOver, message: Message, attachments: Vec<OutboundAttachment>) -> Text {
    Text {
        attachments,
        hand_over,
        from: message.from_address,
        to: message.to_address,
        body: message.body,
    }
}

fn mail(hand_over: HandOver, message: Message, attachments: Vec<OutboundAttachment>) -> Mail {
    Mail {
        attachments,
        hand_over,
        from: message.from_address,
        to: message.to_address,
        cc: message.cc_addresses,
        subject: message.subject,
        body: message.body,
        html_body: message.html_body,
    }
}

/// URLs of the stored attachments of a hand-over.
struct Links<'a> {
    /// `None` for a provider that takes the content itself.
    key: Option<&'a LinkKey>,
    base: String,
    message_id: MessageId,
    handed_over: Timestamp,
}

impl Links<'_> {
    fn of(&self, id: AttachmentId) -> Option<String> {
        let link = AttachmentLink::new(self.message_id, id, self.handed_over);
        let token = link.token(self.key?);
        Some(format!("{}/{token}", self.base))
    }
}

/// Takes the attachments of a message.
fn attachments(
    database: &Database,
    message: &mut Message,
    links: &Links<'_>,
) -> Vec<OutboundAttachment> {
    let owner = &message.owner;
    let outbound = |attachment: Attachment| {
        let Attachment {
            id,
            filename,
            content_type,
            size_bytes,
            url,
        } = attachment;
        let link = links.of(id).filter(|_| url.is_none());
        let content = url.map_or_else(
            || {
                let source = StoredContent {
                    database: database.clone(),
                    owner: owner.clone(),
                    id,
                };
                let size_bytes = u64::try_from(size_bytes).unwrap_or_default();
                OutboundContent::Stored(Content::new(size_bytes, Arc::new(source)))
            },
            OutboundContent::Url,
        );
        OutboundAttachment {
            filename,
            content_type,
            content,
            link,
        }
    };
    let attachments = std::mem::take(&mut message.attachments);
    attachments.into_iter().map(outbound).collect()
}

/// Messages of an owner in the database, by the provider's id.
struct StoredMessages {
    database: Database,
    owner: Owner,
    provider: &'static str,
}

#[async_trait]
impl KnownMessages for StoredMessages {
    async fn is_known(&self, provider_message_id: &str) -> Option<bool> {
        let found = self
            .database
            .message_by_provider_id(&self.owner, self.provider, provider_message_id)
            .await;
        match found {
            Ok(found) => Some(found.is_some()),
            Err(error) => {
                tracing::warn!(%error, provider = self.provider, "a message could not be looked up by its provider's id");
                None
            }
        }
    }
}

/// Content of an attachment in the database.
struct StoredContent {
    database: Database,
    owner: Owner,
    id: AttachmentId,
}

#[async_trait]
impl ContentSource for StoredContent {
    async fn chunk(&self, position: i32) -> Result<Bytes, ContentError> {
        let chunk = self
            .database
            .attachment_chunk(&self.owner, self.id, position);
        match chunk.await {
            Ok(Some(chunk)) => Ok(chunk.into()),
            // The message was deleted during the hand-over.
            Ok(None) => Err(ContentError::Gone),
            Err(error) => {
                tracing::warn!(%error, attachment_id = %self.id, "the content of an attachment could not be read for its provider");
                Err(ContentError::Unavailable)
            }
        }
    }
}
