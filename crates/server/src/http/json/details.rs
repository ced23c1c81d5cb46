//! Status details as JSON. Written by hand, because their descriptors are not part of the contract.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::Status;
use tonic_types::{
    BadRequest, DebugInfo, ErrorDetail, ErrorInfo, Help, LocalizedMessage, PreconditionFailure,
    QuotaFailure, RequestInfo, ResourceInfo, RetryInfo, StatusExt as _,
};

/// Returns all known details, in their order.
pub(super) fn of(status: &Status) -> Vec<Value> {
    let details = status.get_error_details_vec().into_iter();
    details
        .filter_map(|detail| {
            let (kind, mut value) = shown(detail)?;
            value
                .as_object_mut()?
                .insert("@type".to_owned(), kind.into());
            Some(value)
        })
        .collect()
}

fn shown(detail: ErrorDetail) -> Option<(&'static str, Value)> {
    Some(match detail {
        ErrorDetail::ErrorInfo(ErrorInfo {
            reason,
            domain,
            metadata,
        }) => {
            let metadata: BTreeMap<_, _> = metadata.into_iter().collect();
            (
                ErrorInfo::TYPE_URL,
                json!({"reason": reason, "domain": domain, "metadata": metadata}),
            )
        }
        ErrorDetail::RetryInfo(RetryInfo { retry_delay, .. }) => (
            RetryInfo::TYPE_URL,
            json!({"retryDelay": retry_delay.map(seconds)}),
        ),
        ErrorDetail::BadRequest(BadRequest { field_violations }) => {
            let violations = field_violations.into_iter();
            let violations: Vec<_> = violations
                .map(|it| json!({"field": it.field, "description": it.description}))
                .collect();
            (BadRequest::TYPE_URL, json!({"fieldViolations": violations}))
        }
        ErrorDetail::PreconditionFailure(PreconditionFailure { violations }) => {
            let violations: Vec<_> = violations.into_iter()
                .map(|it| json!({"type": it.r#type, "subject": it.subject, "description": it.description}))
                .collect();
            (
                PreconditionFailure::TYPE_URL,
                json!({"violations": violations}),
            )
        }
        ErrorDetail::QuotaFailure(QuotaFailure { violations }) => {
            let violations: Vec<_> = violations
                .into_iter()
                .map(|it| json!({"subject": it.subject, "description": it.description}))
                .collect();
            (QuotaFailure::TYPE_URL, json!({"violations": violations}))
        }
        ErrorDetail::ResourceInfo(it) => (
            ResourceInfo::TYPE_URL,
            json!({
                "resourceType": it.resource_type, "resourceName": it.resource_name,
                "owner": it.owner, "description": it.description,
            }),
        ),
        ErrorDetail::RequestInfo(it) => (
            RequestInfo::TYPE_URL,
            json!({
                "requestId": it.request_id, "servingData": it.serving_data,
            }),
        ),
        ErrorDetail::Help(Help { links }) => {
            let links: Vec<_> = links
                .into_iter()
                .map(|it| json!({"description": it.description, "url": it.url}))
                .collect();
            (Help::TYPE_URL, json!({"links": links}))
        }
        ErrorDetail::LocalizedMessage(LocalizedMessage { locale, message }) => (
            LocalizedMessage::TYPE_URL,
            json!({"locale": locale, "message": message}),
        ),
        ErrorDetail::DebugInfo(DebugInfo {
            stack_entries,
            detail,
        }) => (
            DebugInfo::TYPE_URL,
            json!({"stackEntries": stack_entries, "detail": detail}),
        ),
        // A later version of the library may add types; they are omitted until they are handled here.
        _ => return None,
    })
}

/// Formats a `google.protobuf.Duration` by the protobuf JSON mapping.
fn seconds(delay: Duration) -> String {
    let digits = format!("{}.{:09}", delay.as_secs(), delay.subsec_nanos());
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}s")
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn details_have_their_type_and_the_field_names_of_the_mapping() {
        let mut details =
            ErrorDetails::with_error_info("WHY", "parlance", [("id".to_owned(), "7".to_owned())]);
        details.set_retry_info(Some(Duration::from_millis(1_500)));
        details.add_bad_request_violation("a", "is wrong");
        details.add_precondition_failure_violation("WHY", "id/7", "not so");
        details.add_quota_failure_violation("owner", "spent");
        let status = Status::with_error_details(Code::Unavailable, "", details);
        let shown = of(&status);
        let find = |name: &str| {
            let kind = format!("type.googleapis.com/google.rpc.{name}");
            shown
                .iter()
                .find(|it| it["@type"] == kind.as_str())
                .unwrap()
        };
        assert_eq!(shown.len(), 5);
        assert_eq!(find("ErrorInfo")["metadata"]["id"], "7");
        assert_eq!(find("RetryInfo")["retryDelay"], "1.5s");
        assert_eq!(find("BadRequest")["fieldViolations"][0]["field"], "a");
        assert_eq!(find("PreconditionFailure")["violations"][0]["type"], "WHY");
        assert_eq!(find("QuotaFailure")["violations"][0]["subject"], "owner");
    }

    #[test]
    fn a_delay_is_in_seconds() {
        assert_eq!(seconds(Duration::from_millis(500)), "0.5s");
        assert_eq!(seconds(Duration::from_secs(30)), "30s");
        assert_eq!(seconds(Duration::ZERO), "0s");
    }
}
