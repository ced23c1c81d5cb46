//! `UpdateMessage` and `UpdateMessageStatus`.

use parlance_app::Result;
use parlance_app::messages::{MessageEdit, StatusReport};
use parlance_domain::message::{ContentView, Limits, ReportStatus, ReportedError, ScheduleView};
use parlance_domain::{Json, MessageId, Timestamp, Violation};
use parlance_proto::v1;

use super::read::message_ref;
use crate::convert::fields::Violations;
use crate::convert::mask::Mask;
use crate::convert::{enums, limits, metadata, time};

/// Reads a request to update a message.
pub(crate) fn update(
    request: v1::UpdateMessageRequest,
    limits: &Limits,
    now: Timestamp,
) -> Result<MessageEdit> {
    let mut violations = Violations::new();
    let v1::UpdateMessageRequest {
        message,
        update_mask,
    } = request;
    let mask = Mask::read(
        &mut violations,
        update_mask,
        &["metadata", "body", "send_at", "expires_at"],
    );
    let Some(message) = message else {
        violations.push("message", "required; set its id and the new values");
        return violations.finish(|| None);
    };
    let edit = edit(&mut violations, message, &mask, limits, now);
    violations.finish(|| edit)
}

fn edit(
    violations: &mut Violations,
    message: v1::Message,
    mask: &Mask,
    limits: &Limits,
    now: Timestamp,
) -> Option<MessageEdit> {
    // Neither used nor checked: the fields that no mask can name.
    let v1::Message {
        id,
        etag,
        metadata,
        body,
        send_at,
        expires_at,
        ..
    } = message;
    let id = violations.id("message.id", &id, MessageId::parse);
    let etag = violations.etag("message.etag", etag);
    let metadata = if mask.covers("metadata", metadata.is_some()) {
        metadata::json(violations, "message.metadata", metadata)
    } else {
        None
    };
    let body = mask.covers("body", !body.is_empty()).then_some(body);
    let mut timestamp = |name: &str, at: Option<prost_types::Timestamp>| {
        mask.covers(name, at.is_some())
            .then(|| time::timestamp(violations, &format!("message.{name}"), at))
    };
    let send_at = timestamp("send_at", send_at);
    let expires_at = timestamp("expires_at", expires_at);
    let content = ContentView {
        // An empty body may be valid: the message may have attachments.
        received: true,
        body: body.as_deref().unwrap_or_default(),
        metadata: metadata.as_ref().map_or("", Json::as_str),
        ..ContentView::default()
    };
    let schedule = ScheduleView {
        channel: None,
        send_at: send_at.flatten(),
        expires_at: expires_at.flatten(),
    };
    // The app checks again, with what the message has.
    let found = content
        .check(limits)
        .into_iter()
        .chain(schedule.check(Some(now)));
    violations.extend(found.map(|Violation { field, description }| {
        Violation::new(format!("message.{field}"), description)
    }));
    Some(MessageEdit {
        id: id?,
        etag,
        metadata,
        body,
        send_at,
        expires_at,
    })
}

/// Reads a status report.
pub(crate) fn report(request: v1::UpdateMessageStatusRequest) -> Result<StatusReport> {
    let mut violations = Violations::new();
    let v1::UpdateMessageStatusRequest {
        id,
        provider,
        provider_message_id,
        status,
        error,
        occurred_at,
    } = request;
    let which = message_ref(&mut violations, &id, provider, provider_message_id);
    let status = report_status(&mut violations, status);
    let error = error.and_then(|error| reported_error(&mut violations, error));
    let occurred_at = time::timestamp(&mut violations, "occurred_at", occurred_at);
    violations.finish(|| {
        Some(StatusReport {
            which: which?,
            status: status?,
            error,
            occurred_at,
        })
    })
}

fn report_status(violations: &mut Violations, number: i32) -> Option<ReportStatus> {
    // An unknown number gets the same violation as a status that cannot be reported.
    let status = enums::message_status(&mut Violations::new(), "status", number);
    let status = status.and_then(ReportStatus::from_status);
    if status.is_none() {
        violations.push(
            "status",
            "not a status that can be reported; use SENT, FAILED, UNDELIVERED, DELIVERED or READ",
        );
    }
    status
}

/// Reads the error of a report. An empty error counts as unset.
fn reported_error(violations: &mut Violations, error: v1::MessageError) -> Option<ReportedError> {
    let v1::MessageError {
        code,
        message,
        provider_code,
    } = error;
    violations.text("error.code", &code, limits::ERROR_CODE);
    violations.text("error.message", &message, limits::ERROR_MESSAGE);
    violations.text("error.provider_code", &provider_code, limits::ERROR_CODE);
    let is_set = [&code, &message, &provider_code]
        .iter()
        .any(|text| !text.is_empty());
    is_set.then_some(ReportedError {
        code,
        message,
        provider_code,
    })
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;
    use crate::convert::testing::{NOW, after_now, rejected_fields};

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
    fn without_a_mask_the_fields_that_are_set_are_changed() {
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
    fn an_unset_field_of_the_mask_is_cleared() {
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
    fn invalid_fields_have_the_prefix_of_the_message() {
        let message = v1::Message {
            body: "\0".to_owned(),
            send_at: Some(after_now(9)),
            expires_at: Some(after_now(8)),
            ..Default::default()
        };
        assert_eq!(
            rejected_fields(read(message.clone(), &[])),
            ["message.body", "message.expires_at"]
        );
        assert_eq!(
            rejected_fields(read(message.clone(), &["send_at", "subject"])),
            ["update_mask"]
        );
        assert!(
            read(message, &["send_at"]).is_ok(),
            "fields outside the mask are not checked"
        );
        let request = v1::UpdateMessageRequest::default();
        assert_eq!(
            rejected_fields(update(request, &Limits::default(), NOW)),
            ["message"]
        );
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
        assert_eq!(rejected_fields(of(0)), ["status"]);
        assert_eq!(
            rejected_fields(of(v1::MessageStatus::Pending.into())),
            ["status"]
        );
        assert_eq!(rejected_fields(of(99)), ["status"]);
    }

    #[test]
    fn an_empty_error_is_unset() {
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
        assert_eq!(rejected_fields(of(error)), ["error.message"]);
    }
}
