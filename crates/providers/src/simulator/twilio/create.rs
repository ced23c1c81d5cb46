//! Creation of a message.

use std::time::Duration;

use http::{StatusCode, Uri};
use parlance_domain::Timestamp;

use super::dates::Date;
use super::params::Params;
use super::response::{self, Answer, ApiResponse};
use crate::simulator::network::{Decision, Network, NewMedia, Refusal, Submission, Time, code};

const MAX_BODY: usize = 1_600;
const MAX_MEDIA: usize = 10;
const MAX_URL: usize = 4_096;
/// Seconds that a message may wait in a queue.
const VALIDITY: std::ops::RangeInclusive<u32> = 1..=36_000;
/// How long ahead a message may be scheduled.
const SCHEDULE: std::ops::RangeInclusive<Duration> =
    Duration::from_mins(15)..=Duration::from_hours(35 * 24);
/// `Retry-After` if the script does not say it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Creates a message, or returns what the script decides.
pub(super) fn create(
    network: &mut Network,
    time: Time,
    account: &str,
    params: &Params,
) -> Result<Answer, Refusal> {
    let submission = submission(network.now(account, time), account, params)?;
    let response = match network.submit(submission, time) {
        Decision::Accepted(sid) => match network.message(account, &sid) {
            Some(message) => ApiResponse::json(StatusCode::CREATED, &response::message(message)),
            None => server_error(),
        },
        Decision::Silent { delay } => return Ok(Answer::Silent(delay)),
        Decision::Refused(refusal) => return Err(refusal),
        Decision::TooManyRequests { after } => {
            ApiResponse::too_many_requests(after.unwrap_or(RETRY_AFTER))
        }
        Decision::ServerError => server_error(),
    };
    Ok(Answer::Response(response))
}

fn server_error() -> ApiResponse {
    let refusal = Refusal::new(code::SERVER_ERROR, "An internal server error has occurred");
    ApiResponse::error(&refusal.with_status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn submission(now: Timestamp, account: &str, params: &Params) -> Result<Submission, Refusal> {
    let (to, from, service) = addresses(params)?;
    let body = params.text("Body");
    let media: Vec<&str> = params
        .all("MediaUrl")
        .filter(|url| !url.is_empty())
        .collect();
    if body.is_empty() && media.is_empty() {
        return Err(Refusal::new(code::NO_BODY, "Message body is required."));
    }
    if body.chars().count() > MAX_BODY {
        return Err(Refusal::new(
            code::BODY_TOO_LONG,
            format!("The concatenated message body exceeds the {MAX_BODY} character limit"),
        ));
    }
    if media.len() > MAX_MEDIA {
        return Err(Refusal::new(
            code::TOO_MUCH_MEDIA,
            format!("Number of media files exceeds the limit of {MAX_MEDIA}"),
        ));
    }
    if let Some(url) = media.iter().find(|url| !is_http_url(url)) {
        return Err(Refusal::new(
            code::INVALID_MEDIA,
            format!("Invalid media URL: {}", shortened(url)),
        ));
    }
    let callback = params.text("StatusCallback");
    if !callback.is_empty() && !is_http_url(callback) {
        return Err(Refusal::new(
            code::INVALID_CALLBACK,
            format!(
                "The 'StatusCallback' URL {} is not a valid URL.",
                shortened(callback)
            ),
        ));
    }
    if let Some(period) = params.get("ValidityPeriod")
        && !period
            .parse()
            .is_ok_and(|seconds| VALIDITY.contains(&seconds))
    {
        return Err(Refusal::new(
            code::INVALID_PARAMETER,
            "ValidityPeriod must be from 1 to 36000 seconds",
        ));
    }
    Ok(Submission {
        account: account.to_owned(),
        sid: None,
        from: from.to_owned(),
        to: to.to_owned(),
        service: service.to_owned(),
        subject: String::new(),
        body: body.to_owned(),
        media: media.into_iter().map(new_media).collect(),
        callback: callback.to_owned(),
        send_at: send_at(now, service, params)?,
        is_reply: false,
    })
}

/// Recipient, sender and Messaging Service.
fn addresses(params: &Params) -> Result<(&str, &str, &str), Refusal> {
    let (to, from) = (params.text("To"), params.text("From"));
    let service = params.text("MessagingServiceSid");
    if to.is_empty() {
        return Err(Refusal::new(
            code::NO_TO,
            "A 'To' phone number is required.",
        ));
    }
    if from.is_empty() && service.is_empty() {
        return Err(Refusal::new(
            code::NO_FROM,
            "A 'From' phone number is required.",
        ));
    }
    if !is_number(to) {
        return Err(Refusal::new(
            code::INVALID_TO,
            format!(
                "The 'To' number {} is not a valid phone number.",
                shortened(to)
            ),
        ));
    }
    if !from.is_empty() && !is_number(from) && !is_sender_name(from) {
        return Err(Refusal::new(
            code::INVALID_FROM,
            format!(
                "The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID.",
                shortened(from)
            ),
        ));
    }
    if !service.is_empty() && !is_sid(service, "MG") {
        return Err(Refusal::new(
            code::INVALID_SERVICE,
            format!(
                "The Messaging Service {} does not exist.",
                shortened(service)
            ),
        ));
    }
    Ok((to, from, service))
}

fn send_at(now: Timestamp, service: &str, params: &Params) -> Result<Option<Timestamp>, Refusal> {
    let (send_at, kind) = (params.text("SendAt"), params.text("ScheduleType"));
    if send_at.is_empty() && kind.is_empty() {
        return Ok(None);
    }
    if service.is_empty() {
        return Err(Refusal::new(
            code::SCHEDULE_NEEDS_SERVICE,
            "MessagingServiceSid is required to schedule a message",
        ));
    }
    let date = Date::parse(send_at).filter(|_| kind == "fixed");
    let date = date.ok_or_else(|| {
        Refusal::new(
            code::INVALID_PARAMETER,
            "SendAt must be a time in ISO 8601 and ScheduleType must be fixed",
        )
    })?;
    if !SCHEDULE.contains(&date.start.since(now)) {
        return Err(Refusal::new(
            code::SEND_AT_RANGE,
            "SendAt time must be between 900 seconds and 35 days (3024000 seconds) in the future",
        ));
    }
    Ok(Some(date.start))
}

fn new_media(url: &str) -> NewMedia {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default();
    let content_type = match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "vcf" => "text/vcard",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    };
    NewMedia {
        url: url.to_owned(),
        content_type: content_type.to_owned(),
        content: None,
    }
}

/// Phone number in E.164, or a short code.
fn is_number(text: &str) -> bool {
    let (digits, lengths) = match text.strip_prefix('+') {
        Some(digits) => (digits, 7..=15),
        None => (text, 3..=8),
    };
    lengths.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_sender_name(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b" &-._+".contains(&b);
    (1..=11).contains(&text.len())
        && text.bytes().all(is_allowed)
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// Prefix and 32 letters and digits.
fn is_sid(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_http_url(text: &str) -> bool {
    let (url, _) = text.split_once('#').unwrap_or((text, ""));
    let uri = Uri::try_from(url).ok().filter(|_| text.len() <= MAX_URL);
    uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    })
}

/// Part of a value of the client, for an error.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}
