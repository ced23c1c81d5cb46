//! The caller's own JSON object: a `Struct` in the contract, one canonical text inside. Equal objects become equal texts,
//! since members are sorted by name and whole numbers have no fraction.

use parlance_domain::Json;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number, Value as JsonValue};

use super::fields::Found;
use super::limits::METADATA_DEPTH;

/// Beyond this not every whole number is a double, so a fraction may have been rounded away before it came to us.
const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;

/// The text of the object; `{}` if it is unset. Its size is the domain's to check.
pub(super) fn json(found: &mut Found, field: &str, metadata: Option<Struct>) -> Option<Json> {
    let Some(Struct { fields }) = metadata else {
        return Some(Json::default());
    };
    let text = object(fields, METADATA_DEPTH).map(|object| JsonValue::Object(object).to_string());
    found.keep(field, text).map(Json::from_text)
}

/// The object that the text says; unset for one without members.
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
            // We never write such a text; one that is there all the same must not hide the rest of its row.
            tracing::error!("stored metadata is not a json object; it is shown as none");
            None
        }
    }
}

/// What no JSON text can say, or no reader could read back.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Unsayable {
    #[error("json has no NaN and no infinity; write null or a text instead")]
    NotFinite,
    #[error("a value has no kind; write null for no value")]
    NoKind,
    #[error("nested more than {METADATA_DEPTH} levels deep; make it flatter")]
    TooDeep,
}

type Said<T> = Result<T, Unsayable>;

fn object<I>(members: I, levels: usize) -> Said<Map<String, JsonValue>>
where
    I: IntoIterator<Item = (String, Value)>,
{
    let levels = levels.checked_sub(1).ok_or(Unsayable::TooDeep)?;
    let member = |(name, member)| Ok((name, value(member, levels)?));
    members.into_iter().map(member).collect()
}

fn value(Value { kind }: Value, levels: usize) -> Said<JsonValue> {
    Ok(match kind.ok_or(Unsayable::NoKind)? {
        Kind::NullValue(_) => JsonValue::Null,
        Kind::NumberValue(number) => JsonValue::Number(self::number(number)?),
        Kind::StringValue(text) => JsonValue::String(text),
        Kind::BoolValue(flag) => JsonValue::Bool(flag),
        Kind::StructValue(Struct { fields }) => JsonValue::Object(object(fields, levels)?),
        Kind::ListValue(ListValue { values }) => {
            let levels = levels.checked_sub(1).ok_or(Unsayable::TooDeep)?;
            let items: Said<_> = values.into_iter().map(|item| value(item, levels)).collect();
            JsonValue::Array(items?)
        }
    })
}

fn number(number: f64) -> Said<Number> {
    if number.fract() == 0.0 && number.abs() < WHOLE_BELOW {
        // A whole double is written without a fraction, and minus zero reads as zero.
        if let Ok(whole) = format!("{number}").parse::<i64>() {
            return Ok(whole.into());
        }
    }
    Number::from_f64(number).ok_or(Unsayable::NotFinite)
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
    use crate::convert::testing::{fields_of, seen};

    fn of(kind: Kind) -> Struct {
        let fields = [("k".to_owned(), Value { kind: Some(kind) })];
        Struct {
            fields: fields.into(),
        }
    }

    fn text(metadata: Option<Struct>) -> String {
        let json = seen(|found| json(found, "metadata", metadata)).unwrap();
        json.as_str().to_owned()
    }

    /// An object of so many levels.
    fn nested(levels: usize) -> Struct {
        let mut inner = Struct::default();
        for _ in 1..levels {
            inner = of(Kind::StructValue(inner));
        }
        inner
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are() {
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
    fn what_goes_in_comes_out() {
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
    fn what_json_cannot_say_is_told() {
        for kind in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Kind::NumberValue) {
            assert_eq!(
                fields_of(|found| _ = json(found, "metadata", Some(of(kind)))),
                ["metadata"]
            );
        }
        let fields = [("k".to_owned(), Value { kind: None })].into();
        let without_kind = Some(Struct { fields });
        assert_eq!(
            fields_of(|found| _ = json(found, "metadata", without_kind)),
            ["metadata"]
        );
    }

    #[test]
    fn what_is_let_in_can_be_read_back_in_any_reply() {
        let deepest = nested(METADATA_DEPTH);
        assert!(fields_of(|found| _ = json(found, "m", Some(deepest.clone()))).is_empty());
        let too_deep = nested(METADATA_DEPTH + 1);
        assert_eq!(
            fields_of(|found| _ = json(found, "m", Some(too_deep))),
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
            fields_of(|found| _ = json(found, "m", Some(of(inner)))),
            ["m"]
        );
    }

    #[test]
    fn a_stored_text_that_is_no_object_hides_nothing_else() {
        for text in ["", "[]", "1", "{", "null"] {
            assert_eq!(to_proto(&Json::from_text(text.to_owned())), None);
        }
    }
}
