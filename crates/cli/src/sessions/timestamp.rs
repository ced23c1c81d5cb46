//! Timestamps in the notations that sessions use.

use prost_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From here on a number counts milliseconds: as seconds it would be after the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;

/// Timestamp that is written by RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SessionTimestamp(pub(super) Timestamp);

impl Serialize for SessionTimestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionTimestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(f64),
        }
        let expected = "expected a time such as 2026-01-31T09:00:00Z, or seconds since 1970";
        let written = Written::deserialize(from).map_err(|_| serde::de::Error::custom(expected))?;
        let timestamp = match written {
            Written::Text(text) => of_text(&text),
            Written::Number(number) => of_number(number),
        };
        timestamp
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(expected))
    }
}

/// Parses RFC 3339, also with a space for the T, and without a zone (UTC), as Python writes it.
fn of_text(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

fn of_number(number: f64) -> Option<Timestamp> {
    let seconds = if number.abs() >= MILLISECONDS_FROM {
        number / 1e3
    } else {
        number
    };
    // Formatted and parsed, since there is no lossless conversion.
    let micros: i64 = format!("{:.0}", seconds * 1e6).parse().ok()?;
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).ok()?;
    let seconds = micros.div_euclid(1_000_000);
    Some(Timestamp { seconds, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_read_in_many_notations() {
        for text in [
            r#""2026-01-31T09:00:00.5Z""#,
            r#""2026-01-31T10:00:00.500+01:00""#,
            r#""2026-01-31T09:00:00.500000""#,
            r#""2026-01-31 09:00:00.5""#,
            r#""2026-01-31 09:00:00.500000+00:00""#,
            "1769850000.5",
            "1769850000500",
        ] {
            let read: SessionTimestamp = serde_json::from_str(text).unwrap();
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(written, r#""2026-01-31T09:00:00.500Z""#, "{text}");
            assert_eq!(
                serde_json::from_str::<SessionTimestamp>(&written).unwrap(),
                read
            );
        }
        for invalid in [r#""yesterday""#, r#""""#, "true", "[]", "1e300"] {
            assert!(
                serde_json::from_str::<SessionTimestamp>(invalid).is_err(),
                "{invalid}"
            );
        }
    }
}
