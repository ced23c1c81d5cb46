//! Webhooks: `status` for reports about messages, `inbound` for messages.
//!
//! A request that is not verified gets 403. One that was verified gets 200 even if there is nothing to do with it, since the
//! provider would only log an error; the outcome of the response distinguishes the two. What cannot be stored now gets 503.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use parlance_domain::Channel;
use parlance_domain::message::{ReportStatus, ReportedError};

use super::form::{Form, Parameters};
use super::name::NAME;
use super::resource::is_sid;
use super::signature::Verifier;
use super::{codes, outcome};
use crate::{
    InboundAttachment, InboundContent, InboundError, InboundMessage, Now, OptOutType,
    ProviderEvents, ProviderReport, ReportedMessage, RetryReport, WebhookOutcome, WebhookRequest,
    WebhookResponse, Webhooks,
};

const STATUS: &str = "status";
const INBOUND: &str = "inbound";
/// A text of 1,600 characters, each of which takes up to 12 bytes in a form, and ten attachments.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Maximum number of attachments that are read; the application has a limit of its own.
const MAX_MEDIA: usize = 50;
/// A `TwiML` document without an action: the provider sends the text of any other answer to the recipient.
const NO_ACTION: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

pub(super) struct TwilioWebhooks {
    pub(super) verifier: Verifier,
    pub(super) events: Arc<dyn ProviderEvents>,
    pub(super) now: Now,
}

#[async_trait]
impl Webhooks for TwilioWebhooks {
    fn max_body_bytes(&self, path: &str) -> Option<usize> {
        matches!(path, STATUS | INBOUND).then_some(MAX_BODY_BYTES)
    }

    async fn handle(&self, request: WebhookRequest) -> WebhookResponse {
        let Some(form) = Form::parse(&request.headers, &request.body) else {
            return forbidden("the body has too many parameters");
        };
        let credentials = match self.verifier.verify(&request, &form) {
            Ok(credentials) => credentials,
            Err(error) => {
                tracing::warn!(provider = NAME, path = %request.path, %error, "a webhook was not verified");
                return forbidden(&error.to_string());
            }
        };
        let parameters = form.parameters();
        if request.path == INBOUND {
            match inbound(parameters, credentials) {
                Ok(message) => inbound_answer(self.events.inbound(message).await),
                Err(why) => unusable(&request, why),
            }
        } else {
            match self.report(&request, parameters) {
                Ok(report) => report_answer(self.events.report(report).await),
                Err(why) => unusable(&request, why),
            }
        }
    }
}

impl TwilioWebhooks {
    fn report(
        &self,
        request: &WebhookRequest,
        parameters: &Parameters,
    ) -> Result<ProviderReport, &'static str> {
        let sid = sid(parameters)?;
        let status = status(parameters)?;
        let message = match request.attempt() {
            Some(attempt) => ReportedMessage::Attempt(attempt),
            None => ReportedMessage::ProviderId {
                channel: Channel::Sms,
                sender: required(parameters.get("From"), "the report has no From")?.to_owned(),
                provider_message_id: sid.to_owned(),
            },
        };
        Ok(ProviderReport {
            provider: NAME,
            owner: None,
            message,
            provider_message_id: Some(sid.to_owned()),
            status,
            error: status.is_negative().then(|| error(parameters)),
            // The provider gives no time that is precise enough to order reports.
            occurred_at: (self.now)(),
        })
    }
}

fn required<'a>(value: &'a str, missing: &'static str) -> Result<&'a str, &'static str> {
    if value.is_empty() {
        Err(missing)
    } else {
        Ok(value)
    }
}

/// The provider's id of the message, which has three names.
fn sid(parameters: &Parameters) -> Result<&str, &'static str> {
    let names = ["MessageSid", "SmsSid", "SmsMessageSid"];
    let found = names.map(|name| parameters.get(name));
    let found = found.into_iter().find(|sid| is_sid(sid));
    found.ok_or("the request has no MessageSid")
}

/// The status, which has two names.
fn provider_status(parameters: &Parameters) -> &str {
    match parameters.get("MessageStatus") {
        "" => parameters.get("SmsStatus"),
        status => status,
    }
}

/// Every status of an outbound message says that the provider has accepted it.
fn status(parameters: &Parameters) -> Result<ReportStatus, &'static str> {
    match provider_status(parameters) {
        "accepted" | "scheduled" | "queued" | "sending" | "sent" | "partially_delivered" => {
            Ok(ReportStatus::Sent)
        }
        "delivered" => Ok(ReportStatus::Delivered),
        "read" => Ok(ReportStatus::Read),
        "undelivered" => Ok(ReportStatus::Undelivered),
        "failed" | "canceled" => Ok(ReportStatus::Failed),
        _ => Err("MessageStatus is not one of an outbound message"),
    }
}

fn error(parameters: &Parameters) -> ReportedError {
    let provider_code = parameters.get("ErrorCode").parse().ok();
    let status = provider_status(parameters);
    let otherwise = match status {
        "canceled" => "canceled",
        "failed" => "failed",
        _ => "undelivered",
    };
    let texts = ["ErrorMessage", "ChannelStatusMessage"].map(|name| parameters.get(name));
    let text = texts.into_iter().find(|text| !text.is_empty());
    let text = text.map_or_else(|| format!("the provider reported {status}"), str::to_owned);
    outcome::error(codes::code(provider_code, otherwise), text, provider_code)
}

fn inbound(
    parameters: &Parameters,
    credentials: Vec<String>,
) -> Result<InboundMessage, &'static str> {
    let get = |name| parameters.get(name);
    Ok(InboundMessage {
        provider: NAME,
        credentials: Some(credentials),
        provider_message_id: sid(parameters)?.to_owned(),
        channel: Channel::Sms,
        from: required(get("From"), "the message has no From")?.to_owned(),
        to: required(get("To"), "the message has no To")?.to_owned(),
        cc: Vec::new(),
        subject: String::new(),
        body: get("Body").to_owned(),
        html_body: String::new(),
        attachments: attachments(parameters),
        opt_out_type: OptOutType::parse(get("OptOutType")),
        received_at: None,
    })
}

/// The attachments, by their URLs at the provider.
fn attachments(parameters: &Parameters) -> Vec<InboundAttachment> {
    let count: usize = parameters.get("NumMedia").parse().unwrap_or_default();
    let urls = (0..count.min(MAX_MEDIA)).filter_map(|index| {
        let url = parameters.get(&format!("MediaUrl{index}"));
        let content_type = parameters.get(&format!("MediaContentType{index}"));
        (!url.is_empty()).then(|| InboundAttachment {
            filename: String::new(),
            content_type: content_type.to_owned(),
            content: InboundContent::Url(url.to_owned()),
        })
    });
    urls.collect()
}

fn report_answer(result: Result<(), RetryReport>) -> WebhookResponse {
    match result {
        Ok(()) => no_action(WebhookOutcome::Accepted),
        Err(RetryReport) => WebhookResponse::retry_later(),
    }
}

fn inbound_answer(result: Result<(), InboundError>) -> WebhookResponse {
    match result {
        Ok(()) => no_action(WebhookOutcome::Accepted),
        Err(InboundError::RetryLater) => WebhookResponse::retry_later(),
        Err(error @ (InboundError::UnknownAddress | InboundError::Invalid(_))) => {
            tracing::warn!(provider = NAME, %error, "an inbound message was not stored");
            no_action(WebhookOutcome::Unusable)
        }
    }
}

fn unusable(request: &WebhookRequest, why: &str) -> WebhookResponse {
    tracing::warn!(
        provider = NAME,
        path = %request.path,
        why,
        "a webhook was not understood"
    );
    no_action(WebhookOutcome::Unusable)
}

fn forbidden(why: &str) -> WebhookResponse {
    let text = format!("{why}\n");
    WebhookResponse::text(WebhookOutcome::Unverified, StatusCode::FORBIDDEN, text)
}

const fn no_action(outcome: WebhookOutcome) -> WebhookResponse {
    WebhookResponse {
        outcome,
        status: StatusCode::OK,
        content_type: Some("text/xml"),
        body: Bytes::from_static(NO_ACTION.as_bytes()),
    }
}
