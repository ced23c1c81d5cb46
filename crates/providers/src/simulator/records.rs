//! Messages and webhooks of the state machine, as the service lists them.

use parlance_domain::{MessageId, Owner};

use super::network::{Direction, Message, Webhook};
use crate::{SentMessage, WebhookRecord};

/// Returns a message of an application; `None` for one of a customer.
pub fn sent_message(
    message: &Message,
    owner: &Owner,
    message_id: Option<MessageId>,
) -> Option<SentMessage> {
    match message.direction {
        Direction::Outbound | Direction::Reply => {}
        Direction::Inbound => return None,
    }
    Some(SentMessage {
        owner: owner.clone(),
        message_id,
        provider_message_id: message.sid.clone(),
        from: message.from.clone(),
        to: message.to.clone(),
        subject: message.subject.clone(),
        body: message.body.clone(),
        attachments: message.media.len(),
        accepted_at: message.created_at,
        times_accepted: message.times_accepted,
    })
}

/// Returns a webhook.
pub fn webhook_record(id: u64, webhook: &Webhook) -> WebhookRecord {
    WebhookRecord {
        id: id.to_string(),
        provider_message_id: webhook.sid.clone(),
        url: webhook.url.clone(),
        parameters: webhook.parameters.clone(),
        state: webhook.state,
        attempts: webhook.attempts,
        result: webhook.result.clone(),
        occurred_at: webhook.occurred_at,
    }
}

/// Reads the id of a webhook.
pub fn webhook_id(text: &str) -> Option<u64> {
    text.parse().ok()
}
