//! Hand-over of a message.

use async_trait::async_trait;
use parlance_domain::Timestamp;

use super::Twilio;
use super::client::Parameter;
use super::outcome::{self, of_creation};
use crate::{HandOver, OutboundAttachment, OutboundContent, Outcome, Text, TextProvider};

/// The longest time that the provider tries for, and its default.
const MAX_VALIDITY_SECONDS: u64 = 36_000;

#[async_trait]
impl TextProvider for Twilio {
    async fn send_text(&self, text: Text) -> Outcome {
        let Some(account) = self.accounts.of(&text.hand_over.sender) else {
            return no_credentials(&text.hand_over.sender.credentials);
        };
        let now = (self.context.now)();
        let parameters = match parameters(text, now) {
            Ok(parameters) => parameters,
            Err(refused) => return refused,
        };
        let answer = self.client.create(account, &parameters).await;
        of_creation(answer, (self.context.now)())
    }
}

/// The parameters of a new message. With a Messaging Service the number is given, too: a conversation is between two
/// numbers, so the service must not choose another one.
fn parameters(text: Text, now: Timestamp) -> Result<Vec<Parameter<'static>>, Outcome> {
    let Text {
        hand_over,
        from,
        to,
        body,
        attachments,
    } = text;
    let HandOver {
        owner: _,
        attempt: _,
        sender,
        callback_url,
        expires_at,
    } = hand_over;
    let mut parameters = vec![("To", to), ("From", from)];
    if !sender.messaging_service.is_empty() {
        parameters.push(("MessagingServiceSid", sender.messaging_service.clone()));
    }
    if !body.is_empty() {
        parameters.push(("Body", body));
    }
    for attachment in attachments {
        parameters.push(("MediaUrl", media_url(attachment)?));
    }
    if let Some(url) = callback_url {
        parameters.push(("StatusCallback", url));
    }
    if let Some(expires_at) = expires_at {
        let seconds = expires_at.since(now).as_secs();
        if seconds < MAX_VALIDITY_SECONDS {
            parameters.push(("ValidityPeriod", seconds.max(1).to_string()));
        }
    }
    Ok(parameters)
}

fn media_url(attachment: OutboundAttachment) -> Result<String, Outcome> {
    match attachment.content {
        OutboundContent::Url(url) => Ok(url),
        OutboundContent::Stored(_) => attachment.link.ok_or_else(|| {
            let text = "the provider fetches attachments by URL; send the attachment as a url";
            Outcome::Refused(outcome::error(
                "attachment_needs_url",
                text.to_owned(),
                None,
            ))
        }),
    }
}

/// Outcome for credentials that were removed from the configuration while senders still name them. The delivery is
/// retried: they may be configured again.
fn no_credentials(name: &str) -> Outcome {
    let text = if name.is_empty() {
        "the sender names no credentials, and there are several; set `credentials` of the sender"
            .to_owned()
    } else {
        format!("this installation no longer has the credentials {name:?}")
    };
    Outcome::Later {
        after: None,
        error: outcome::error("no_credentials", text, None),
    }
}
