//! The provider's webhooks: a status as one word, and an inbound message as JSON.

use std::sync::Arc;

use http::StatusCode;
use parlance_domain::Channel;
use parlance_domain::message::ReportStatus;
use parlance_providers::{
    InboundMessage, Now, ProviderEvents, ProviderReport, ReportedMessage, WebhookOutcome,
    WebhookRequest, WebhookResponse, Webhooks,
};
use serde_json::Value;
use tonic::async_trait;

use super::NAME;
use super::signature::{HEADER, signature};

pub(super) struct ExampleWebhooks {
    pub(super) events: Arc<dyn ProviderEvents>,
    pub(super) now: Now,
}

impl ExampleWebhooks {
    fn report(&self, request: &WebhookRequest) -> Option<ProviderReport> {
        let attempt = request.attempt()?;
        let status = std::str::from_utf8(&request.body).ok()?;
        Some(ProviderReport {
            provider: NAME,
            owner: None,
            message: ReportedMessage::Attempt(attempt),
            provider_message_id: None,
            status: ReportStatus::parse(status)?,
            error: None,
            occurred_at: (self.now)(),
        })
    }
}

fn inbound(request: &WebhookRequest) -> Option<InboundMessage> {
    let json: Value = serde_json::from_slice(&request.body).ok()?;
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Some(InboundMessage {
        provider: NAME,
        credentials: None,
        provider_message_id: text("id")?,
        channel: Channel::Sms,
        from: text("from")?,
        to: text("to")?,
        cc: Vec::new(),
        subject: String::new(),
        body: text("body")?,
        html_body: String::new(),
        attachments: Vec::new(),
        opt_out_type: None,
        received_at: None,
    })
}

#[async_trait]
impl Webhooks for ExampleWebhooks {
    fn max_body_bytes(&self, path: &str) -> Option<usize> {
        matches!(path, "status" | "inbound").then_some(1_024)
    }

    async fn handle(&self, request: WebhookRequest) -> WebhookResponse {
        let expected = signature(&request.url, &request.body);
        if request
            .headers
            .get(HEADER)
            .is_none_or(|found| found.as_bytes() != expected.as_bytes())
        {
            return WebhookResponse::text(
                WebhookOutcome::Unverified,
                StatusCode::FORBIDDEN,
                "wrong signature\n",
            );
        }
        let malformed = || {
            WebhookResponse::text(
                WebhookOutcome::Unusable,
                StatusCode::BAD_REQUEST,
                "malformed\n",
            )
        };
        if request.path == "status" {
            match self.report(&request) {
                Some(report) => self.events.report(report).await.into(),
                None => malformed(),
            }
        } else {
            match inbound(&request) {
                Some(message) => self.events.inbound(message).await.into(),
                None => malformed(),
            }
        }
    }
}
