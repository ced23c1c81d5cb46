//! Metadata of the caller: a `Struct` in the contract, one canonical JSON text in the domain. Equal objects become equal
//! texts, since members are sorted by name and whole numbers have no fraction.

use parlance_domain::Json;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number, Value as JsonValue};

use super::fields::Violations;
use super::limits::METADATA_DEPTH;

/// From here on a double cannot represent every whole number, so the caller may have lost a fraction by rounding.
const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;

/// Reads the text of the object; `{}` if it is unset. The domain checks its size.
pub(super) fn json(
    violations: &mut Violations,
    field: &str,
    metadata: Option<Struct>,
) -> Option<Json> {
    let Some(Struct { fields }) = metadata else {
        return Some(Json::default());
    };
    let text = object(fields, METADATA_DEPTH).map(|object| JsonValue::Object(object).to_string());
    violations.ok_or_record(field, text).map(Json::from_text)
}

/// Converts the text to an object; unset for one without members.
pub(super) fn to_proto(json: &Json) -> Option<Struct> {
    match serde_json::from_str(json.as_str()) {
        Ok(JsonValue::Object(members)) => (!members.is_empty()).then(|| object_to_proto(members)),
        Ok(
            JsonValue::Null
            | JsonValue::Bool(_)
            | JsonValue::Number(_)
            | JsonValue::String(_)
            | JsonValue::Array(_),
        )
        | Err(_) => {
            // The service never writes such a text. If one exists, the rest of the row must stay readable.
            tracing::error!(
                "stored metadata is not a JSON object and is returned as unset; correct the row"
            );
            None
        }
    }
}

/// A value that JSON cannot express, or that no client could decode.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum NotJson {
    #[error("contains NaN or infinity, which JSON does not have; use null or a string instead")]
    NotFinite,
    #[error("contains a value without a kind; use null_value for no value")]
    NoKind,
    #[error("nested more than {METADATA_DEPTH} levels deep; use fewer levels")]
    TooDeep,
}

type JsonResult<T> = Result<T, NotJson>;

fn object<I>(members: I, levels: usize) -> JsonResult<Map<String, JsonValue>>
where
    I: IntoIterator<Item = (String, Value)>,
{
    let levels = levels.checked_sub(1).ok_or(NotJson::TooDeep)?;
    let member = |(name, member)| Ok((name, value(member, levels)?));
    members.into_iter().map(member).collect()
}

fn value(Value { kind }: Value, levels: usize) -> JsonResult<JsonValue> {
    Ok(match kind.ok_or(NotJson::NoKind)? {
        Kind::NullValue(_) => JsonValue::Null,
        Kind::NumberValue(number) => JsonValue::Number(self::number(number)?),
        Kind::StringValue(text) => JsonValue::String(text),
        Kind::BoolValue(flag) => JsonValue::Bool(flag),
        Kind::StructValue(Struct { fields }) => JsonValue::Object(object(fields, levels)?),
        Kind::ListValue(ListValue { values }) => {
            let levels = levels.checked_sub(1).ok_or(NotJson::TooDeep)?;
            let items: JsonResult<_> = values.into_iter().map(|item| value(item, levels)).collect();
            JsonValue::Array(items?)
        }
    })
}

fn number(number: f64) -> JsonResult<Number> {
    if number.fract() == 0.0 && number.abs() < WHOLE_BELOW {
        // A whole double is formatted without a fraction, and minus zero parses as zero.
        if let Ok(whole) = format!("{number}").parse::<i64>() {
            return Ok(whole.into());
        }
    }
    Number::from_f64(number).ok_or(NotJson::NotFinite)
}

fn object_to_proto(members: Map<String, JsonValue>) -> Struct {
    let member = |(name, value)| (name, value_to_proto(value));
    Struct {
        fields: members.into_iter().map(member).collect(),
    }
}

fn value_to_proto(value: JsonValue) -> Value {
    let kind = match value {
        JsonValue::Null => Kind::NullValue(0),
        JsonValue::Bool(flag) => Kind::BoolValue(flag),
        JsonValue::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        JsonValue::String(text) => Kind::StringValue(text),
        JsonValue::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value_to_proto).collect(),
        }),
        JsonValue::Object(members) => Kind::StructValue(object_to_proto(members)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use parlance_proto::v1;
    use prost::Message as _;

    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    fn of(kind: Kind) -> Struct {
        let fields = [("k".to_owned(), Value { kind: Some(kind) })];
        Struct {
            fields: fields.into(),
        }
    }

    fn text(metadata: Option<Struct>) -> String {
        let json = accepted(|violations| json(violations, "metadata", metadata)).unwrap();
        json.as_str().to_owned()
    }

    /// An object with so many levels.
    fn nested(levels: usize) -> Struct {
        let mut inner = Struct::default();
        for _ in 1..levels {
            inner = of(Kind::StructValue(inner));
        }
        inner
    }

    #[test]
    fn numbers_are_written_in_their_shortest_form() {
        for (number, written) in [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (1.5, "1.5"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (1e300, "1e+300"),
        ] {
            let expected = format!("{{\"k\":{written}}}");
            assert_eq!(text(Some(of(Kind::NumberValue(number)))), expected);
        }
    }

    #[test]
    fn metadata_round_trips() {
        let list = Kind::ListValue(ListValue {
            values: vec![
                Value {
                    kind: Some(Kind::NullValue(0)),
                },
                Value {
                    kind: Some(Kind::BoolValue(true)),
                },
                Value {
                    kind: Some(Kind::StringValue("\u{1f600} \" \\".to_owned())),
                },
                Value {
                    kind: Some(Kind::StructValue(Struct::default())),
                },
                Value {
                    kind: Some(Kind::NumberValue(-2.25)),
                },
            ],
        });
        let metadata = Some(of(list));
        let json = Json::from_text(text(metadata.clone()));
        assert_eq!(to_proto(&json), metadata);
        assert_eq!(text(None), "{}");
        assert_eq!(to_proto(&Json::default()), None);
    }

    #[test]
    fn members_are_sorted() {
        let fields = ["b", "a", "B"].map(|name| {
            (
                name.to_owned(),
                Value {
                    kind: Some(Kind::BoolValue(true)),
                },
            )
        });
        let metadata = Some(Struct {
            fields: fields.into(),
        });
        assert_eq!(text(metadata), r#"{"B":true,"a":true,"b":true}"#);
    }

    #[test]
    fn a_value_that_json_cannot_express_is_a_violation() {
        for kind in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Kind::NumberValue) {
            assert_eq!(
                violated_fields(|violations| _ = json(violations, "metadata", Some(of(kind)))),
                ["metadata"]
            );
        }
        let fields = [("k".to_owned(), Value { kind: None })].into();
        let without_kind = Some(Struct { fields });
        assert_eq!(
            violated_fields(|violations| _ = json(violations, "metadata", without_kind)),
            ["metadata"]
        );
    }

    #[test]
    fn accepted_metadata_can_be_decoded_in_every_reply() {
        let deepest = nested(METADATA_DEPTH);
        assert!(
            violated_fields(|violations| _ = json(violations, "m", Some(deepest.clone())))
                .is_empty()
        );
        let too_deep = nested(METADATA_DEPTH + 1);
        assert_eq!(
            violated_fields(|violations| _ = json(violations, "m", Some(too_deep))),
            ["m"]
        );

        let message = v1::Message {
            metadata: Some(deepest),
            ..Default::default()
        };
        let reply = v1::ListMessagesResponse {
            messages: vec![message],
            ..Default::default()
        };
        assert!(v1::ListMessagesResponse::decode(reply.encode_to_vec().as_slice()).is_ok());
    }

    #[test]
    fn lists_nest_like_objects() {
        let mut inner = Kind::ListValue(ListValue::default());
        for _ in 0..METADATA_DEPTH {
            let values = vec![Value { kind: Some(inner) }];
            inner = Kind::ListValue(ListValue { values });
        }
        assert_eq!(
            violated_fields(|violations| _ = json(violations, "m", Some(of(inner)))),
            ["m"]
        );
    }

    #[test]
    fn a_stored_text_that_is_not_an_object_is_unset() {
        for text in ["", "[]", "1", "{", "null"] {
            assert_eq!(to_proto(&Json::from_text(text.to_owned())), None);
        }
    }
}
