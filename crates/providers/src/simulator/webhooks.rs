//! Webhooks of the simulator: a simulated network outside of the process reports a status or delivers a message, as the
//! servers of a real provider do. They are not signed: the simulator carries test messages only. A web page of another
//! origin cannot send them, since the body must be JSON.

use std::sync::Arc;

use async_trait::async_trait;
use http::{StatusCode, header};
use parlance_domain::Channel;
use parlance_domain::message::{ReportStatus, ReportedError};
use serde::Deserialize;

use super::name::NAME;
use crate::{
    InboundMessage, Now, ProviderEvents, ProviderReport, ReportedMessage, WebhookOutcome,
    WebhookRequest, WebhookResponse, Webhooks,
};

const STATUS: &str = "status";
const INBOUND: &str = "inbound";
/// A report or a text message is small.
const MAX_STATUS_BYTES: usize = 16 * 1024;
/// Plain text of a mail, which JSON may escape.
const MAX_INBOUND_BYTES: usize = 1024 * 1024;

/// Body of a status report. The message is named by the `attempt` of the callback URL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    /// `sent`, `failed`, `undelivered`, `delivered` or `read`.
    status: String,
    #[serde(default)]
    error: Option<StatusError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusError {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    provider_code: String,
}

/// Body of an inbound message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    id: String,
    /// `sms` or `email`.
    channel: String,
    from: String,
    to: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    body: String,
}

pub(super) struct SimulatorWebhooks {
    events: Arc<dyn ProviderEvents>,
    now: Now,
}

impl SimulatorWebhooks {
    pub(super) fn new(events: Arc<dyn ProviderEvents>, now: Now) -> Self {
        Self { events, now }
    }

    fn report(&self, request: &WebhookRequest) -> Result<ProviderReport, String> {
        let attempt = request.attempt();
        let attempt = attempt.ok_or("the query has no attempt=<id of an attempt>")?;
        let Status { status, error } = parse(request)?;
        let status = ReportStatus::parse(&status)
            .ok_or("status is none of sent, failed, undelivered, delivered, read")?;
        Ok(ProviderReport {
            provider: NAME,
            owner: None,
            // A repeated hand-over is the same message here.
            message: ReportedMessage::Message(attempt.message_id),
            provider_message_id: None,
            status,
            error: error.map(|error| ReportedError {
                code: error.code,
                message: error.message,
                provider_code: error.provider_code,
            }),
            occurred_at: (self.now)(),
        })
    }
}

#[async_trait]
impl Webhooks for SimulatorWebhooks {
    fn max_body_bytes(&self, path: &str) -> Option<usize> {
        match path {
            STATUS => Some(MAX_STATUS_BYTES),
            INBOUND => Some(MAX_INBOUND_BYTES),
            _ => None,
        }
    }

    async fn handle(&self, request: WebhookRequest) -> WebhookResponse {
        if !is_json(&request) {
            return WebhookResponse::text(
                WebhookOutcome::Unusable,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content-type must be application/json; with curl, use --json instead of -d\n",
            );
        }
        if request.path == INBOUND {
            return match inbound(&request) {
                Ok(message) => self.events.inbound(message).await.into(),
                Err(error) => malformed(&error),
            };
        }
        match self.report(&request) {
            Ok(report) => self.events.report(report).await.into(),
            Err(error) => malformed(&error),
        }
    }
}

fn inbound(request: &WebhookRequest) -> Result<InboundMessage, String> {
    let Inbound {
        id,
        channel,
        from,
        to,
        subject,
        body,
    } = parse(request)?;
    let channel = match Channel::parse(&channel) {
        Some(channel @ (Channel::Sms | Channel::Email)) => channel,
        Some(Channel::Mms | Channel::Chat) | None => {
            return Err("channel is neither sms nor email".to_owned());
        }
    };
    if id.is_empty() {
        return Err("id is empty".to_owned());
    }
    Ok(InboundMessage {
        provider: NAME,
        credentials: None,
        provider_message_id: id,
        channel,
        from,
        to,
        cc: Vec::new(),
        subject,
        body,
        html_body: String::new(),
        attachments: Vec::new(),
        opt_out_type: None,
        received_at: None,
    })
}

/// Whether the content type is `application/json`. A browser lets a page send every other type to any origin without a
/// preflight request.
fn is_json(request: &WebhookRequest) -> bool {
    let kind = request.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn parse<'a, T: Deserialize<'a>>(request: &'a WebhookRequest) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| format!("the body: {error}"))
}

fn malformed(error: &str) -> WebhookResponse {
    WebhookResponse::text(
        WebhookOutcome::Unusable,
        StatusCode::BAD_REQUEST,
        format!("{error}\n"),
    )
}
