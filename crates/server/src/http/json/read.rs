//! From JSON to the bytes of a message.

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::error::Category;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::layers::{cause, faults};

/// A value takes two bytes of JSON and hundreds of memory, so counting bytes is not enough. The largest request that makes
/// sense has a tenth of this.
const MOST_VALUES: usize = 50_000;
/// Of a text that repeats what the client sent.
const LONGEST_ECHO: usize = 300;

/// The message in the body; an empty body is an empty message.
pub(super) fn message(kind: &MessageDescriptor, body: &[u8]) -> Result<Vec<u8>, Status> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    if values(body) > MOST_VALUES {
        let text = format!("the body has more than {MOST_VALUES} values");
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

/// How many values there are at most: each but the first follows one of these.
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
    let text = cut(&error.to_string());
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            faults::malformed(&format!("the body is not JSON: {text}"))
        }
        Category::Data => match field(path, &text) {
            Some(field) => invalid(&cut(&field), &text),
            None => faults::malformed(&format!("the body is not the message: {text}")),
        },
    }
}

/// Which field is meant. The one that does not exist is not part of the path, which ends where it was looked for.
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

fn cut(text: &str) -> String {
    if text.len() <= LONGEST_ECHO {
        return text.to_owned();
    }
    format!("{} ...", &text[..text.floor_char_boundary(LONGEST_ECHO)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts() {
        assert_eq!(values(b"{}"), 2);
        assert_eq!(values(br#"{"a": [1, 2, 3]}"#), 5);
        assert_eq!(values(br#"{"a,[{": "b\",[{\\", "c": 1}"#), 3);
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place() {
        let text = "unrecognized field name 'colour' at line 1 column 9";
        assert_eq!(field(".", text).unwrap(), "colour");
        assert_eq!(field("conversation", text).unwrap(), "conversation.colour");
        assert_eq!(field("pageSize", "invalid type").unwrap(), "pageSize");
        assert_eq!(field(".", "invalid type"), None);
    }
}
