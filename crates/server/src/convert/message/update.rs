//! `UpdateMessage` and `UpdateMessageStatus`.

use parlance_app::Result;
use parlance_app::messages::{MessageEdit, StatusReport};
use parlance_domain::message::{ContentView, Limits, ReportStatus, ReportedError};
use parlance_domain::{Json, MessageId, Timestamp, Violation};
use parlance_proto::v1;

use super::read::which;
use crate::convert::fields::Found;
use crate::convert::mask::Mask;
use crate::convert::{enums, limits, metadata, time};

/// Reads an edit.
pub(crate) fn update(
    request: v1::UpdateMessageRequest,
    limits: &Limits,
    now: Timestamp,
) -> Result<MessageEdit> {
    let mut found = Found::new();
    let v1::UpdateMessageRequest {
        message,
        update_mask,
    } = request;
    let mask = Mask::read(
        &mut found,
        update_mask,
        &["metadata", "body", "send_at", "expires_at"],
    );
    let Some(message) = message else {
        found.push("message", "required; give its id and the new values");
        return found.finish(|| None);
    };
    let edit = edit(&mut found, message, &mask, limits, now);
    found.finish(|| edit)
}

fn edit(
    found: &mut Found,
    message: v1::Message,
    mask: &Mask,
    limits: &Limits,
    now: Timestamp,
) -> Option<MessageEdit> {
    let Settable {
        id,
        etag,
        metadata,
        body,
        send_at,
        expires_at,
    } = settable(message);
    let id = found.id("message.id", &id, MessageId::parse);
    let etag = found.etag("message.etag", etag);
    let metadata = if mask.covers("metadata", metadata.is_some()) {
        metadata::json(found, "message.metadata", metadata)
    } else {
        None
    };
    let body = mask.covers("body", !body.is_empty()).then_some(body);
    check_content(found, body.as_deref(), metadata.as_ref(), limits);
    let mut moment = |name: &str, at: Option<prost_types::Timestamp>| {
        mask.covers(name, at.is_some())
            .then(|| time::timestamp(found, &format!("message.{name}"), at))
    };
    let send_at = moment("send_at", send_at);
    let expires_at = moment("expires_at", expires_at);
    let times = (send_at.flatten(), expires_at.flatten());
    time::check_expiry(found, "message.expires_at", times, now);
    Some(MessageEdit {
        id: id?,
        etag,
        metadata,
        body,
        send_at,
        expires_at,
    })
}

/// What of a message an update looks at.
struct Settable {
    id: String,
    etag: String,
    metadata: Option<prost_types::Struct>,
    body: String,
    send_at: Option<prost_types::Timestamp>,
    expires_at: Option<prost_types::Timestamp>,
}

fn settable(message: v1::Message) -> Settable {
    let v1::Message {
        id,
        conversation_id: _,
        sequence: _,
        channel: _,
        direction: _,
        status: _,
        role: _,
        from_address: _,
        to_address: _,
        cc_addresses: _,
        subject: _,
        body,
        html_body: _,
        attachments: _,
        provider: _,
        provider_message_id: _,
        error: _,
        segments: _,
        tokens_used: _,
        latency_ms: _,
        metadata,
        send_at,
        expires_at,
        sent_at: _,
        delivered_at: _,
        read_at: _,
        created_at: _,
        updated_at: _,
        version: _,
        etag,
    } = message;
    Settable {
        id,
        etag,
        metadata,
        body,
        send_at,
        expires_at,
    }
}

/// What holds on every channel; the app checks again by the message's own.
fn check_content(found: &mut Found, body: Option<&str>, metadata: Option<&Json>, limits: &Limits) {
    let view = ContentView {
        // Something else may speak for an empty text.
        received: true,
        body: body.unwrap_or_default(),
        metadata: metadata.map_or("", Json::as_str),
        ..ContentView::default()
    };
    let in_message =
        |Violation { field, description }| Violation::new(format!("message.{field}"), description);
    found.extend(view.check(limits).into_iter().map(in_message));
}

/// Reads a report.
pub(crate) fn report(request: v1::UpdateMessageStatusRequest) -> Result<StatusReport> {
    let mut found = Found::new();
    let v1::UpdateMessageStatusRequest {
        id,
        provider,
        provider_message_id,
        status,
        error,
        occurred_at,
    } = request;
    let which = which(&mut found, &id, provider, provider_message_id);
    let status = report_status(&mut found, status);
    let error = error.and_then(|error| reported_error(&mut found, error));
    let occurred_at = time::timestamp(&mut found, "occurred_at", occurred_at);
    found.finish(|| {
        Some(StatusReport {
            which: which?,
            status: status?,
            error,
            occurred_at,
        })
    })
}

fn report_status(found: &mut Found, number: i32) -> Option<ReportStatus> {
    // A number that the contract does not know gets the same answer as a status that nobody can report.
    let status = enums::message_status(&mut Found::new(), "status", number);
    let status = status.and_then(ReportStatus::from_status);
    if status.is_none() {
        found.push(
            "status",
            "not a report; give SENT, FAILED, UNDELIVERED, DELIVERED or READ",
        );
    }
    status
}

/// An error that says nothing is none.
fn reported_error(found: &mut Found, error: v1::MessageError) -> Option<ReportedError> {
    let v1::MessageError {
        code,
        message,
        provider_code,
    } = error;
    found.text("error.code", &code, limits::ERROR_CODE);
    found.text("error.message", &message, limits::ERROR_MESSAGE);
    found.text("error.provider_code", &provider_code, limits::ERROR_CODE);
    let says_something = [&code, &message, &provider_code]
        .iter()
        .any(|text| !text.is_empty());
    says_something.then_some(ReportedError {
        code,
        message,
        provider_code,
    })
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;
    use crate::convert::testing::{NOW, after_now, wrong};

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    fn read(message: v1::Message, paths: &[&str]) -> Result<MessageEdit> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let request = v1::UpdateMessageRequest {
            message: Some(v1::Message {
                id: ID.to_owned(),
                ..message
            }),
            update_mask: Some(FieldMask { paths }),
        };
        update(request, &Limits::default(), NOW)
    }

    #[test]
    fn without_a_mask_what_is_set_is_changed() {
        let message = v1::Message {
            body: "b".to_owned(),
            expires_at: Some(after_now(1)),
            subject: "not for an update".to_owned(),
            etag: "\"1\"".to_owned(),
            ..Default::default()
        };
        let edit = read(message, &[]).unwrap();
        assert_eq!(edit.etag.as_deref(), Some("\"1\""));
        assert_eq!(
            (edit.metadata, edit.body.as_deref(), edit.send_at),
            (None, Some("b"), None)
        );
        assert!(matches!(edit.expires_at, Some(Some(_))));
    }

    #[test]
    fn what_a_mask_names_and_nothing_sets_is_cleared() {
        let message = v1::Message {
            etag: String::new(),
            ..Default::default()
        };
        let edit = read(message, &["metadata", "body", "send_at", "expires_at"]).unwrap();
        assert_eq!(edit.metadata, Some(Json::default()));
        assert_eq!(edit.body.as_deref(), Some(""));
        assert_eq!(
            (edit.send_at, edit.expires_at, edit.etag),
            (Some(None), Some(None), None)
        );
    }

    #[test]
    fn wrong_fields_are_named_inside_the_message() {
        let message = v1::Message {
            body: "\0".to_owned(),
            send_at: Some(after_now(9)),
            expires_at: Some(after_now(8)),
            ..Default::default()
        };
        assert_eq!(
            wrong(read(message.clone(), &[])),
            ["message.body", "message.expires_at"]
        );
        assert_eq!(
            wrong(read(message.clone(), &["send_at", "subject"])),
            ["update_mask"]
        );
        assert!(
            read(message, &["send_at"]).is_ok(),
            "what the mask leaves out is not judged"
        );
        let request = v1::UpdateMessageRequest::default();
        assert_eq!(wrong(update(request, &Limits::default(), NOW)), ["message"]);
    }

    #[test]
    fn only_five_statuses_can_be_reported() {
        let of = |status: i32| {
            report(v1::UpdateMessageStatusRequest {
                id: ID.to_owned(),
                status,
                ..Default::default()
            })
        };
        let accepted: Vec<_> = (-1..20)
            .filter_map(|number| of(number).ok())
            .map(|r| r.status)
            .collect();
        assert_eq!(accepted.len(), ReportStatus::ALL.len());
        assert_eq!(wrong(of(0)), ["status"]);
        assert_eq!(wrong(of(v1::MessageStatus::Pending.into())), ["status"]);
        assert_eq!(wrong(of(99)), ["status"]);
    }

    #[test]
    fn an_error_that_says_nothing_is_none() {
        let of = |error| {
            report(v1::UpdateMessageStatusRequest {
                id: ID.to_owned(),
                status: v1::MessageStatus::Failed.into(),
                error: Some(error),
                ..Default::default()
            })
        };
        assert_eq!(of(v1::MessageError::default()).unwrap().error, None);
        let error = v1::MessageError {
            code: "SPAM".to_owned(),
            ..Default::default()
        };
        assert_eq!(of(error).unwrap().error.unwrap().code, "SPAM");
        let error = v1::MessageError {
            message: "m".repeat(1_025),
            ..Default::default()
        };
        assert_eq!(wrong(of(error)), ["error.message"]);
    }
}
