//! Status reports and inbound messages of providers. They take the same path as those of API clients.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::{
    Content, MAX_CC_ADDRESSES, MAX_PROVIDER_MESSAGE_ID_CHARS, ReportedError, is_provider_message_id,
};
use parlance_domain::{Address, Channel, Json, MessageId, Owner, Sender};
use parlance_providers::{
    InboundAttachment, InboundContent, InboundError, InboundMessage, OptOutType, ProviderEvents,
    ProviderReport, ReportedMessage, Resume, RetryReport,
};

use crate::App;
use crate::error::{Error, Kind, Result};
use crate::messages::{
    AttachmentSource, ConversationTarget, MessageRef, NewAttachment, NewMessage, ReceiveMessage,
    ReportOrigin, StatusReport, content_violations,
};

/// Age up to which a report by an unknown provider's id is to be repeated. After that the message was deleted: an
/// outcome is written within seconds of the database being available.
const UNKNOWN_ID_RETRY: Duration = Duration::from_mins(30);

#[async_trait]
impl ProviderEvents for App {
    async fn report(&self, report: ProviderReport) -> std::result::Result<(), RetryReport> {
        let (reported, occurred_at) = (report.message.clone(), report.occurred_at);
        let Err(error) = self.merge_report(report).await else {
            return Ok(());
        };
        let retry = match error.reason.kind() {
            // Deleted, another provider's, or in a state that takes no reports: a retry would not change that. Only the
            // provider's id may become known later, when the outcome of its hand-over is written.
            Kind::NotFound => {
                matches!(reported, ReportedMessage::ProviderId { .. })
                    && self.now().since(occurred_at) < UNKNOWN_ID_RETRY
            }
            Kind::FailedPrecondition => false,
            Kind::InvalidArgument
            | Kind::Aborted
            | Kind::AlreadyExists
            | Kind::PermissionDenied
            | Kind::ResourceExhausted
            | Kind::OutOfRange
            | Kind::Unavailable
            | Kind::DeadlineExceeded
            | Kind::Internal => true,
        };
        if retry {
            tracing::debug!(%error, cause = error.causes(), ?reported, "a report was not merged; its provider is to repeat it");
            Err(RetryReport)
        } else {
            tracing::info!(%error, cause = error.causes(), ?reported, "a report was dropped");
            Ok(())
        }
    }

    async fn inbound(&self, message: InboundMessage) -> std::result::Result<(), InboundError> {
        let InboundMessage {
            provider,
            credentials,
            provider_message_id,
            channel,
            from,
            to,
            cc,
            subject,
            body,
            html_body,
            attachments,
            opt_out_type,
            received_at,
        } = message;
        if !is_provider_message_id(&provider_message_id) {
            let most = MAX_PROVIDER_MESSAGE_ID_CHARS;
            let why = format!("must have 1 to {most} characters, without U+0000");
            return Err(invalid("provider_message_id", why));
        }
        let ours = Address::ours(channel, &to).map_err(|error| invalid("to", error))?;
        let theirs = Address::origin(channel, &from).map_err(|error| invalid("from", error))?;
        let sender = self.db.sender_of_address(channel, ours.as_str()).await;
        let sender = sender.map_err(|error| refusal(&error.into()))?;
        let sender = sender.filter(|sender| {
            sender.provider == provider && is_verified(sender, credentials.as_deref())
        });
        let owner = sender.ok_or(InboundError::UnknownAddress)?.owner;
        let message = NewMessage {
            target: ConversationTarget::Pair {
                channel,
                ours,
                theirs,
                user: String::new(),
            },
            content: Content {
                cc_addresses: canonical(&cc),
                subject,
                body,
                html_body,
                metadata: opt_out_type.map(metadata).unwrap_or_default(),
                ..Content::default()
            },
            attachments: attachments.into_iter().map(attachment).collect(),
        };
        let channel = channel.of_message(!message.attachments.is_empty());
        let violations = content_violations(&message, channel, true, self.limits());
        if !violations.is_empty() {
            return Err(refusal(&Error::invalid(violations)));
        }
        let request = ReceiveMessage {
            request_id: None,
            message,
            provider: provider.to_owned(),
            provider_message_id,
            received_at,
        };
        match self.receive_message(&owner, request).await {
            Ok(_) => Ok(()),
            // It was delivered before, and deleted since.
            Err(error) if error.reason.kind() == Kind::NotFound => Ok(()),
            Err(error) => Err(refusal(&error)),
        }
    }
}

/// Whether a request that was verified with these credentials may deliver to the sender: an owner who knows the secret of
/// one account must not forge messages to the senders of another.
fn is_verified(sender: &Sender, credentials: Option<&[String]>) -> bool {
    credentials.is_none_or(|names| names.contains(&sender.credentials))
}

/// Metadata of an inbound message whose consent keyword the provider has answered.
fn metadata(opt_out_type: OptOutType) -> Json {
    Json::from_text(format!(r#"{{"opt_out_type":"{}"}}"#, opt_out_type.as_str()))
}

fn invalid(field: &str, error: impl std::fmt::Display) -> InboundError {
    InboundError::Invalid(format!("{field}: {error}"))
}

/// What a provider is to do after an error.
fn refusal(error: &Error) -> InboundError {
    match error.reason.kind() {
        Kind::InvalidArgument => InboundError::Invalid(error.message.clone()),
        // The sender was deleted or moved to another owner at the same time.
        Kind::FailedPrecondition | Kind::PermissionDenied => InboundError::UnknownAddress,
        Kind::NotFound
        | Kind::Aborted
        | Kind::AlreadyExists
        | Kind::ResourceExhausted
        | Kind::OutOfRange
        | Kind::Unavailable
        | Kind::DeadlineExceeded
        | Kind::Internal => {
            tracing::warn!(%error, cause = error.causes(), "an inbound message could not be stored; its provider is to deliver it again");
            InboundError::RetryLater
        }
    }
}

/// The further recipients in canonical form. Those that are no addresses or too many are left out: the mail is worth more
/// than they.
fn canonical(cc: &[String]) -> Vec<String> {
    cc.iter()
        .filter_map(|text| Address::recipient(Channel::Email, text).ok())
        .map(String::from)
        .take(MAX_CC_ADDRESSES)
        .collect()
}

fn attachment(inbound: InboundAttachment) -> NewAttachment {
    let InboundAttachment {
        filename,
        content_type,
        content,
    } = inbound;
    NewAttachment {
        filename,
        content_type,
        source: match content {
            InboundContent::Url(url) => AttachmentSource::Url(url),
            InboundContent::Bytes(bytes) => AttachmentSource::Content(bytes),
        },
    }
}

impl App {
    async fn merge_report(&self, report: ProviderReport) -> Result<()> {
        let ProviderReport {
            provider,
            owner,
            message,
            provider_message_id,
            status,
            error,
            occurred_at,
        } = report;
        let (which, attempt, owner) = match message {
            ReportedMessage::Attempt(attempt) => {
                let id = attempt.message_id;
                let owner = self.owner_of_report(owner, id).await?;
                (MessageRef::Id(id), Some(attempt.number), owner)
            }
            ReportedMessage::Message(id) => {
                let owner = self.owner_of_report(owner, id).await?;
                (MessageRef::Id(id), None, owner)
            }
            ReportedMessage::ProviderId {
                channel,
                sender,
                provider_message_id,
            } => {
                let owner = match owner {
                    // No message has such an id.
                    _ if !is_provider_message_id(&provider_message_id) => None,
                    Some(owner) => Some(owner),
                    None => self.owner_of_address(channel, &sender).await?,
                };
                let which = MessageRef::Provider {
                    provider: provider.to_owned(),
                    provider_message_id,
                };
                (which, None, owner)
            }
        };
        let Some(owner) = owner else {
            tracing::debug!(
                provider,
                ?which,
                "a report about an unknown message was ignored"
            );
            return Ok(());
        };
        let report = StatusReport {
            which,
            status,
            error: error.as_ref().map(ReportedError::clipped),
            occurred_at: Some(occurred_at),
        };
        let origin = ReportOrigin {
            provider: Some(provider),
            attempt,
            provider_message_id: match provider_message_id {
                Some(id) => self.new_provider_id(&owner, provider, id).await?,
                None => None,
            },
        };
        self.merge_status(&owner, report, origin).await.map(|_| ())
    }

    /// Returns the provider's id unless a message has it: then there is nothing to store.
    async fn new_provider_id(
        &self,
        owner: &Owner,
        provider: &str,
        id: String,
    ) -> Result<Option<String>> {
        let found = self.db.message_by_provider_id(owner, provider, &id).await?;
        Ok(found.is_none().then_some(id))
    }

    async fn owner_of_report(&self, known: Option<Owner>, id: MessageId) -> Result<Option<Owner>> {
        match known {
            Some(owner) => Ok(Some(owner)),
            None => Ok(self.db.owner_of_message(id).await?),
        }
    }

    async fn owner_of_address(&self, channel: Channel, address: &str) -> Result<Option<Owner>> {
        let Ok(address) = Address::ours(channel, address) else {
            return Ok(None);
        };
        let sender = self.db.sender_of_address(channel, address.as_str()).await?;
        Ok(sender.map(|sender| sender.owner))
    }
}

/// Messages that one statement reads.
const PAGE: i64 = 500;
/// Pause before a failed read is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl App {
    /// Passes the messages that providers have accepted and not finally reported on to those providers that lose their
    /// state at a restart.
    pub async fn resume_providers(self: Arc<Self>) {
        for provider in self.settings.providers.all() {
            let Some(resume) = &provider.resume else {
                continue;
            };
            while let Err(error) = self.resume_open_messages(provider.name, &**resume).await {
                tracing::warn!(%error, provider = provider.name, "cannot read the messages that a provider had accepted; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn resume_open_messages(&self, provider: &str, resume: &dyn Resume) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.db.open_messages(provider, after, PAGE).await?;
            let full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= PAGE;
            after = page.last().map(|message| message.id);
            for message in page {
                resume.resume(message.owner, message.id, &message.to_address);
            }
            if !full {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn invalid_and_surplus_recipients_of_an_inbound_mail_are_left_out() {
        let mut cc = vec!["A@X.Example".to_owned(), "none".to_owned()];
        cc.extend((0..200).map(|n| format!("c{n}@x.example")));
        let found = canonical(&cc);
        assert_eq!(
            (found.len(), found[0].as_str(), found[1].as_str()),
            (100, "A@x.example", "c0@x.example")
        );
    }
}
