//! Status details as JSON, by the descriptors of `google.rpc`.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use prost_types::Any;
use serde_json::Value;
use tonic::Status;
use tonic_types::pb;

/// The types of details. Compiled in, so that reading them cannot fail.
static TYPES: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap_or_default());

/// Returns all known details, in their order.
pub(super) fn of(status: &Status) -> Vec<Value> {
    let status = pb::Status::decode(status.details()).unwrap_or_default();
    status.details.iter().filter_map(shown).collect()
}

/// Returns a detail by the protobuf JSON mapping, with the fields that have their default; `None` for an unknown type.
fn shown(detail: &Any) -> Option<Value> {
    let (_, name) = detail.type_url.rsplit_once('/')?;
    let kind = TYPES.get_message_by_name(name)?;
    let message = DynamicMessage::decode(kind, detail.value.as_slice()).ok()?;
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut json = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .ok()?;
    let fields = json.as_object_mut()?;
    fields.insert("@type".to_owned(), detail.type_url.as_str().into());
    // The mapping writes groups of three digits.
    if let Some(Value::String(delay)) = fields.get_mut("retryDelay")
        && delay.contains('.')
    {
        let digits = delay.trim_end_matches('s').trim_end_matches('0');
        *delay = format!("{digits}s");
    }
    Some(json)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

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
    fn empty_fields_are_shown() {
        let none = HashMap::<String, String>::new();
        let details = ErrorDetails::with_error_info("WHY", "parlance", none);
        let status = Status::with_error_details(Code::Internal, "", details);
        assert_eq!(of(&status)[0]["metadata"], serde_json::json!({}));
    }

    #[test]
    fn a_delay_is_in_seconds() {
        for (millis, text) in [(500, "0.5s"), (1_250, "1.25s"), (30_000, "30s"), (0, "0s")] {
            let delay = Duration::from_millis(millis);
            let details = ErrorDetails::with_retry_info(Some(delay));
            let status = Status::with_error_details(Code::Unavailable, "", details);
            assert_eq!(of(&status)[0]["retryDelay"], text);
        }
    }

    #[test]
    fn details_of_unknown_types_are_omitted() {
        let unknown = Any {
            type_url: "type.googleapis.com/google.rpc.Unknown".to_owned(),
            value: Vec::new(),
        };
        assert_eq!(shown(&unknown), None);
        assert_eq!(of(&Status::internal("")), Vec::<Value>::new());
    }
}
