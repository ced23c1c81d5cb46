//! Conversion of JSON objects between files and the contract.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Member};
use serde_json::{Map, Number, Value};

/// From here on a double cannot represent every whole number.
const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;

pub(super) fn to_contract(object: Map<String, Value>) -> Struct {
    let member = |(name, value)| (name, member(value));
    Struct {
        fields: object.into_iter().map(member).collect(),
    }
}

pub(super) fn from_contract(object: Struct) -> Map<String, Value> {
    let value = |(name, member)| (name, value(member));
    object.fields.into_iter().map(value).collect()
}

fn member(value: Value) -> Member {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(member).collect(),
        }),
        Value::Object(object) => Kind::StructValue(to_contract(object)),
    };
    Member { kind: Some(kind) }
}

fn value(member: Member) -> Value {
    match member.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::NumberValue(number)) => self::number(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value).collect(),
        Some(Kind::StructValue(object)) => Value::Object(from_contract(object)),
    }
}

/// Writes a whole number without a fraction, as the service does.
fn number(number: f64) -> Value {
    if number.fract() == 0.0
        && number.abs() < WHOLE_BELOW
        && let Ok(whole) = format!("{number}").parse::<i64>()
    {
        return whole.into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_round_trip() {
        let text = r#"{"a":[1,-2.5,true,null,"x"],"b":{"c":{}},"n":9007199254740991}"#;
        let object: Map<String, Value> = serde_json::from_str(text).unwrap();
        let back = from_contract(to_contract(object));
        assert_eq!(Value::Object(back).to_string(), text);
    }
}
