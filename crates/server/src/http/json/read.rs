//! Conversion of JSON to an encoded message.

use parlance_transport::layers::{cause, faults};
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
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
        .map_err(|error| refusal(kind, &track.path(), &error))?;
    json.end().map_err(|error| not_json(&error))?;
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

fn not_json(error: &serde_json::Error) -> Status {
    let text = truncated(&error.to_string());
    faults::malformed(&format!("the body is not valid JSON: {text}"))
}

fn refusal(message: &MessageDescriptor, path: &Path, error: &serde_json::Error) -> Status {
    if error.classify() != Category::Data {
        return not_json(error);
    }
    let text = error.to_string();
    let kind = kind_at(message, path);
    let path = Some(path.to_string()).filter(|path| path != ".");
    let path = path.unwrap_or_default();
    // The path of an unknown field ends at its parent.
    if let Some(name) = unknown_field(&text) {
        let field = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        return invalid(&truncated(&field), &no_such_field(kind.as_ref(), name));
    }
    if path.is_empty() {
        let text = truncated(&text);
        return faults::malformed(&format!(
            "the body does not match the request message: {text}"
        ));
    }
    // The type of a list is that of its values.
    let is_value = !text.contains(", expected a list") && !text.contains(", expected a map");
    let expected = kind.as_ref().filter(|_| is_value).and_then(expected);
    let why = expected.unwrap_or_else(|| truncated(without_position(&text)));
    invalid(&truncated(&path), &why)
}

/// Returns the type of the value at a path; `None` inside JSON that the contract does not describe.
fn kind_at(message: &MessageDescriptor, path: &Path) -> Option<Kind> {
    let mut kind = Kind::Message(message.clone());
    for segment in path {
        let Segment::Map { key } = segment else {
            continue;
        };
        let Kind::Message(message) = &kind else {
            return None;
        };
        let next = if message.is_map_entry() {
            message.map_entry_value_field()
        } else {
            let by_json_name = message.get_field_by_json_name(key);
            by_json_name.or_else(|| message.get_field_by_name(key))?
        };
        kind = next.kind();
    }
    Some(kind)
}

/// Returns the name of the field that the contract does not have, if that is the error.
fn unknown_field(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("unrecognized field name '")?;
    rest.split_once('\'').map(|(name, _)| name)
}

/// Returns the error text of an unknown field of a message. It names a field that differs by a third of its letters or less.
fn no_such_field(kind: Option<&Kind>, name: &str) -> String {
    let folded = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let meant = folded(name);
    // The cost of a comparison grows with the length of the client's text.
    let is_short = name.len() <= MAX_ECHO_BYTES;
    let fields = kind.and_then(Kind::as_message).filter(|_| is_short);
    let closest = fields.and_then(|message| {
        let names = message.fields().map(|field| {
            let distance = strsim::osa_distance(&meant, &folded(field.name()));
            (distance, field.json_name().to_owned())
        });
        names
            .filter(|(distance, name)| distance * 3 <= name.len())
            .min()
    });
    match closest {
        Some((_, name)) => format!("no such field; did you mean {name}?"),
        None => "no such field".to_owned(),
    }
}

/// Returns the error text of a value of the wrong form, for types whose JSON form is not that of their name.
fn expected(kind: &Kind) -> Option<String> {
    if let Kind::Enum(kind) = kind {
        // 0 is the value of an enum that is not set.
        let values = kind.values().filter(|value| value.number() != 0);
        let names: Vec<String> = values.map(|value| value.name().to_owned()).collect();
        return Some(format!("unknown value; use one of {}", names.join(", ")));
    }
    let form = match kind.as_message()?.full_name() {
        "google.protobuf.Timestamp" => "not a time; write it as 2026-01-31T09:00:00Z",
        "google.protobuf.Duration" => "not a duration; write it in seconds, as 90s or 1.5s",
        _ => return None,
    };
    Some(form.to_owned())
}

/// Removes the position in the body: the path of the field says more.
fn without_position(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(text, _)| text)
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
    fn an_unknown_field_is_found_in_the_text() {
        let text = "unrecognized field name 'colour' at line 1 column 9";
        assert_eq!(unknown_field(text), Some("colour"));
        assert_eq!(unknown_field("invalid type"), None);
        assert_eq!(without_position(text), "unrecognized field name 'colour'");
    }
}
