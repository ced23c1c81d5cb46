//! Responses of the API in Twilio's JSON shapes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use serde_json::{Value, json};

use super::dates::rfc2822;
use crate::simulator::network::{
    API_VERSION, Direction, Media, Message, Refusal, code, media_path, segments,
};

/// Answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A response.
    Response(ApiResponse),
    /// No response for this time; afterwards the driver ends the request.
    Silent(Option<Duration>),
}

/// Response of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiResponse {
    /// Status.
    pub status: StatusCode,
    /// The MIME type of the body.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// JSON, or the content of a file; empty for a response without a body.
    pub body: Bytes,
}

const JSON: &str = "application/json";

impl ApiResponse {
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self {
            status,
            content_type: JSON.to_owned(),
            headers: Vec::new(),
            body: body.to_string().into(),
        }
    }

    pub(super) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            content_type: JSON.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The content of a file, or a redirection to it.
    pub(super) fn content(media: &Media) -> Self {
        let (status, headers) = match media.content {
            Some(_) => (StatusCode::OK, Vec::new()),
            None => (
                StatusCode::TEMPORARY_REDIRECT,
                vec![(header::LOCATION, media.url.clone())],
            ),
        };
        Self {
            status,
            content_type: media.content_type.clone(),
            headers,
            body: media.content.clone().unwrap_or_default(),
        }
    }

    /// Error in the shape of Twilio's API.
    pub fn error(refusal: &Refusal) -> Self {
        let Refusal {
            code,
            status,
            message,
        } = refusal;
        let body = json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status.as_u16(),
        });
        let mut response = Self::json(*status, &body);
        if *status == StatusCode::UNAUTHORIZED {
            let challenge = r#"Basic realm="Twilio API""#.to_owned();
            response.headers.push((header::WWW_AUTHENTICATE, challenge));
        }
        response
    }

    pub(super) fn too_many_requests(after: Duration) -> Self {
        let refusal = Refusal::new(code::TOO_MANY_REQUESTS, "Too Many Requests");
        let mut response = Self::error(&refusal.with_status(StatusCode::TOO_MANY_REQUESTS));
        // Rounded up, so that a retry does not come too early.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers = vec![
            (header::RETRY_AFTER, seconds.to_string()),
            (
                HeaderName::from_static("twilio-concurrent-requests"),
                "1".to_owned(),
            ),
        ];
        response
    }
}

/// Path of the messages of an account, without `.json`.
pub(super) fn messages_path(account: &str) -> String {
    format!("/{API_VERSION}/Accounts/{account}/Messages")
}

/// A message resource.
pub(super) fn message(message: &Message) -> Value {
    let path = format!("{}/{}", messages_path(&message.account), message.sid);
    let direction = match message.direction {
        Direction::Outbound => "outbound-api",
        Direction::Reply => "outbound-reply",
        Direction::Inbound => "inbound",
    };
    let or_null = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            Value::from(text)
        }
    };
    json!({
        "account_sid": message.account,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": rfc2822(message.created_at),
        "date_sent": message.sent_at.map(rfc2822),
        "date_updated": rfc2822(message.updated_at),
        "direction": direction,
        "error_code": message.error,
        "error_message": message.error.map(error_text),
        "from": or_null(&message.from),
        "messaging_service_sid": or_null(&message.service),
        "num_media": message.media.len().to_string(),
        "num_segments": segments(message).to_string(),
        "price": null,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status.as_str(),
        "subresource_uris": { "media": format!("{path}/Media.json") },
        "to": message.to,
        "uri": format!("{path}.json"),
    })
}

fn error_text(error: u32) -> &'static str {
    match error {
        code::UNREACHABLE => "Unreachable destination handset",
        _ => "Unknown error",
    }
}

/// A media resource.
pub(super) fn media(message: &Message, media: &Media) -> Value {
    let created = rfc2822(message.created_at);
    json!({
        "account_sid": message.account,
        "content_type": media.content_type,
        "date_created": created,
        "date_updated": created,
        "parent_sid": message.sid,
        "sid": media.sid,
        "uri": format!("{}.json", media_path(message, media)),
    })
}

/// An account resource.
pub(super) fn account(sid: &str, now: parlance_domain::Timestamp) -> Value {
    let path = format!("/{API_VERSION}/Accounts/{sid}");
    json!({
        "sid": sid,
        "friendly_name": "parlance simulate",
        "status": "active",
        "type": "Full",
        "owner_account_sid": sid,
        "date_created": rfc2822(now),
        "date_updated": rfc2822(now),
        "subresource_uris": { "messages": format!("{path}/Messages.json") },
        "uri": format!("{path}.json"),
    })
}
