//! An error with its machine-readable details.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// An error and its details, which every error of the service has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// gRPC status code.
    pub code: Code,
    /// The `reason` of the `ErrorInfo`.
    pub reason: String,
    /// The `metadata` of the `ErrorInfo`.
    pub metadata: HashMap<String, String>,
    /// Field names of the `BadRequest`, sorted.
    pub fields: Vec<String>,
    /// Descriptions of the `BadRequest`, in the order of the reply.
    pub descriptions: Vec<String>,
    /// The delay of the `RetryInfo`.
    pub retry_after: Option<Duration>,
    /// The trailer `grpc-retry-pushback-ms`.
    pub pushback: Option<String>,
    /// Message text.
    pub text: String,
}

impl Refusal {
    /// Reads an error, and checks what must hold for every error.
    #[track_caller]
    pub fn of(status: &Status) -> Self {
        let info = status.get_details_error_info();
        let info = info.unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
        assert_eq!(info.domain, "parlance", "{status:?}");
        let violations = status.get_details_bad_request();
        let violations = violations.map_or_else(Vec::new, |bad| bad.field_violations);
        assert_eq!(
            info.reason == "INVALID_REQUEST",
            !violations.is_empty(),
            "{status:?}"
        );
        assert!(
            violations
                .iter()
                .all(|v| !v.field.is_empty() && !v.description.is_empty()),
            "{status:?}"
        );
        assert!(!status.message().is_empty(), "{status:?}");
        let precondition = status.get_details_precondition_failure();
        assert_eq!(
            precondition.is_some(),
            status.code() == Code::FailedPrecondition,
            "{status:?}"
        );
        for violation in precondition
            .into_iter()
            .flat_map(|failure| failure.violations)
        {
            assert_eq!(violation.r#type, info.reason, "{status:?}");
        }
        let mut fields: Vec<String> = violations.iter().map(|v| v.field.clone()).collect();
        fields.sort();
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        Self {
            code: status.code(),
            reason: info.reason,
            metadata: info.metadata,
            fields,
            descriptions: violations.into_iter().map(|v| v.description).collect(),
            retry_after: status
                .get_details_retry_info()
                .and_then(|retry| retry.retry_delay),
            pushback: pushback.map(|value| value.to_str().expect("digits").to_owned()),
            text: status.message().to_owned(),
        }
    }

    /// Code and reason, which most tests assert.
    pub fn code_and_reason(&self) -> (Code, &str) {
        (self.code, &self.reason)
    }

    /// A value of the `ErrorInfo`'s metadata.
    #[track_caller]
    pub fn metadata(&self, key: &str) -> &str {
        self.metadata
            .get(key)
            .unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }
}
