//! `ListWebhooks` and `ReplayWebhook`.

use parlance_app::Result;
use parlance_app::simulator::{WebhookQuery, WebhookRecord, WebhookState};
use parlance_domain::Owner;
use parlance_proto::v1;

use super::limit;
use crate::convert::fields::{Violations, non_empty};
use crate::convert::time::timestamp_to_proto;

/// Ids of the simulator are shorter.
const MAX_ID: usize = 128;

/// `ListWebhooks`.
pub(crate) fn list_webhooks(
    request: v1::ListWebhooksRequest,
    owner: Owner,
) -> Result<WebhookQuery> {
    let mut violations = Violations::new();
    let v1::ListWebhooksRequest {
        provider_message_id,
        page_size,
    } = request;
    violations.text("provider_message_id", &provider_message_id, MAX_ID);
    let limit = limit(&mut violations, page_size);
    violations.finish(|| {
        Some(WebhookQuery {
            owner,
            provider_message_id: non_empty(provider_message_id),
            limit,
        })
    })
}

/// `ReplayWebhook`.
pub(crate) fn replay(request: v1::ReplayWebhookRequest) -> Result<String> {
    let mut violations = Violations::new();
    let v1::ReplayWebhookRequest { id } = request;
    violations.required("id", &id, MAX_ID);
    violations.finish(|| Some(id))
}

/// Converts webhooks.
pub(crate) fn webhooks_to_proto(webhooks: Vec<WebhookRecord>) -> v1::ListWebhooksResponse {
    v1::ListWebhooksResponse {
        webhooks: webhooks.into_iter().map(webhook_to_proto).collect(),
    }
}

/// Converts a webhook.
pub(crate) fn webhook_to_proto(webhook: WebhookRecord) -> v1::Webhook {
    let WebhookRecord {
        id,
        provider_message_id,
        url,
        parameters,
        state,
        attempts,
        result,
        occurred_at,
    } = webhook;
    let parameters = parameters.into_iter();
    let state = match state {
        WebhookState::Waiting => v1::WebhookState::Waiting,
        WebhookState::Sending => v1::WebhookState::Sending,
        WebhookState::Delivered => v1::WebhookState::Delivered,
        WebhookState::Failed => v1::WebhookState::Failed,
        WebhookState::Dropped => v1::WebhookState::Dropped,
    };
    v1::Webhook {
        id,
        provider_message_id,
        url,
        parameters: parameters
            .map(|(name, value)| v1::WebhookParameter { name, value })
            .collect(),
        state: state.into(),
        attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        result,
        occurred_at: Some(timestamp_to_proto(occurred_at)),
    }
}
