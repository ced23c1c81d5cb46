//! Conversion of JSON to an encoded message.

use parlance_transport::layers::{cause, faults};
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::error::Category;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Limit of the number of values. A value may take two bytes of JSON and hundreds of bytes of memory, so a limit in
/// bytes is not enough. The largest useful request has a tenth of this number.
const MAX_VALUES: usize = 50_000;
/// Length limit of a text that repeats input of the client.
const MAX_ECHO_BYTES: usize = 300;

/// Returns the encoded message of a body. An empty body is an empty message.
pub(super) fn message(kind: &MessageDescriptor, body: &[u8]) -> Result<Vec<u8>, Status> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    if values(body) > MAX_VALUES {
        let text = format!("the body has more than {MAX_VALUES} values; send a smaller request");
        return Err(faults::malformed(&text));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind.clone(), tracked, &options)
        .map_err(|error| refusal(&track.path().to_string(), &error))?;
    json.end().map_err(|error| refusal("", &error))?;
    Ok(message.encode_to_vec())
}

/// Returns an upper bound of the number of values: each but the first follows `,`, `[` or `{`.
fn values(json: &[u8]) -> usize {
    let (mut count, mut inside, mut escaped) = (1, false, false);
    for byte in json {
        match (inside, byte) {
            _ if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => inside = !inside,
            (false, b',' | b'[' | b'{') => count += 1,
            _ => {}
        }
    }
    count
}

fn refusal(path: &str, error: &serde_json::Error) -> Status {
    let text = truncated(&error.to_string());
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            faults::malformed(&format!("the body is not valid JSON: {text}"))
        }
        Category::Data => match field(path, &text) {
            Some(field) => invalid(&truncated(&field), &text),
            None => faults::malformed(&format!(
                "the body does not match the request message: {text}"
            )),
        },
    }
}

/// Returns the path of the invalid field. The path of an unknown field ends at its parent, so its name is appended.
fn field(path: &str, text: &str) -> Option<String> {
    let path = if path == "." { "" } else { path };
    let unknown = text
        .strip_prefix("unrecognized field name '")
        .and_then(|rest| rest.split_once('\''))
        .map(|(name, _)| name);
    match (path, unknown) {
        ("", None) => None,
        ("", Some(name)) => Some(name.to_owned()),
        (path, None) => Some(path.to_owned()),
        (path, Some(name)) => Some(format!("{path}.{name}")),
    }
}

fn invalid(field: &str, text: &str) -> Status {
    const REASON: &str = "INVALID_REQUEST";
    cause::note(REASON);
    let mut details = ErrorDetails::with_bad_request_violation(field, text);
    details.set_error_info(REASON, faults::DOMAIN, []);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {text}"), details)
}

fn truncated(text: &str) -> String {
    if text.len() <= MAX_ECHO_BYTES {
        return text.to_owned();
    }
    format!("{} ...", &text[..text.floor_char_boundary(MAX_ECHO_BYTES)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        assert_eq!(values(b"{}"), 2);
        assert_eq!(values(br#"{"a": [1, 2, 3]}"#), 5);
        assert_eq!(values(br#"{"a,[{": "b\",[{\\", "c": 1}"#), 3);
    }

    #[test]
    fn an_unknown_field_is_reported_with_its_path() {
        let text = "unrecognized field name 'colour' at line 1 column 9";
        assert_eq!(field(".", text).unwrap(), "colour");
        assert_eq!(field("conversation", text).unwrap(), "conversation.colour");
        assert_eq!(field("pageSize", "invalid type").unwrap(), "pageSize");
        assert_eq!(field(".", "invalid type"), None);
    }
}
