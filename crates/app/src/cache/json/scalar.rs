//! JSON form of single values.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use parlance_domain::message::ReportStatus;
use parlance_domain::{
    AttachmentId, Channel, ConversationId, ConversationStatus, DeliveryPolicy, Direction, Json,
    MessageId, MessageStatus, Owner, Role, Timestamp,
};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::paging::QueryFingerprint;

/// Microseconds of a second.
const MICROS: i64 = 1_000_000;

/// A value with a text form.
pub(super) trait TextScalar: Copy {
    fn write_text(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn parse_text(text: &str) -> Option<Self>;
}

macro_rules! text_scalars {
    ($($enum:ty),+) => {$(
        impl TextScalar for $enum {
            fn write_text(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }

            fn parse_text(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    )+};
}

text_scalars![
    Channel,
    ConversationStatus,
    DeliveryPolicy,
    Direction,
    MessageStatus,
    ReportStatus,
    Role
];

macro_rules! ids {
    ($($id:ty),+) => {$(
        impl TextScalar for $id {
            fn write_text(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self, f)
            }

            fn parse_text(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    )+};
}

ids![AttachmentId, ConversationId, MessageId];

/// As in protobuf's JSON.
impl TextScalar for Timestamp {
    fn write_text(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        let nanos = micros.rem_euclid(MICROS) * 1000;
        let time = prost_types::Timestamp {
            seconds: micros.div_euclid(MICROS),
            nanos: i32::try_from(nanos).map_err(|_| fmt::Error)?,
        };
        fmt::Display::fmt(&time, f)
    }

    fn parse_text(text: &str) -> Option<Self> {
        let time = text.parse::<prost_types::Timestamp>().ok()?;
        let prost_types::Timestamp { seconds, nanos } = time;
        // The last second of either end is only partly in the range.
        let micros = i128::from(seconds) * i128::from(MICROS) + i128::from(nanos / 1000);
        i64::try_from(micros).ok().map(Self::from_micros)
    }
}

impl TextScalar for QueryFingerprint {
    fn write_text(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }

    fn parse_text(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self(number)).filter(|fingerprint| Scalar(*fingerprint).to_string() == text)
    }
}

/// A value in its text form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar<T>(pub(super) T);

impl<T: TextScalar> fmt::Display for Scalar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_text(f)
    }
}

impl<T: TextScalar> Serialize for Scalar<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: TextScalar> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ScalarVisitor(PhantomData))
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: TextScalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = Scalar<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a known value")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::parse_text(text)
            .map(Scalar)
            .ok_or_else(|| E::custom("unknown value"))
    }
}

/// An owner.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OwnerText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a Owner> for OwnerText<'a> {
    fn from(owner: &'a Owner) -> Self {
        Self(Cow::Borrowed(owner.as_str()))
    }
}

impl OwnerText<'_> {
    pub(super) fn owner(&self) -> Option<Owner> {
        Owner::parse(&self.0)
    }
}

/// A text; empty is `null`.
#[derive(Debug)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> From<&'a String> for Text<'a> {
    fn from(text: &'a String) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<Text<'_>> for String {
    fn from(Text(text): Text<'_>) -> Self {
        text.into_owned()
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            serializer.serialize_none()
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_option`, which takes a missing field for `null`.
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or null")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed("")))
    }
}

/// A text that is present; empty is not `null`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NonNullText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a String> for NonNullText<'a> {
    fn from(text: &'a String) -> Self {
        Self(text.into())
    }
}

impl From<NonNullText<'_>> for String {
    fn from(NonNullText(text): NonNullText<'_>) -> Self {
        text.into_owned()
    }
}

/// A field that must be present, with a value or `null`. A derived `Option` takes a missing field for `null`.
pub(super) fn required_nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// The owner's metadata, unchanged: the order of its members and its numbers stay. Anything but a JSON object (which
/// is never written) is stored as a text, so that it is read back, too.
#[derive(Debug)]
pub(super) enum Data<'a> {
    Object(&'a RawValue),
    Text(Cow<'a, str>),
}

impl<'a> From<&'a Json> for Data<'a> {
    fn from(json: &'a Json) -> Self {
        let text = json.as_str();
        match serde_json::from_str::<&RawValue>(text) {
            // Surrounding blanks would be lost.
            Ok(raw) if text.starts_with('{') && raw.get().len() == text.len() => Self::Object(raw),
            Ok(_) | Err(_) => Self::Text(Cow::Borrowed(text)),
        }
    }
}

impl From<Data<'_>> for Json {
    fn from(data: Data<'_>) -> Self {
        Self::from_text(match data {
            Data::Object(raw) => raw.get().to_owned(),
            Data::Text(text) => text.into_owned(),
        })
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(raw) => raw.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('{') {
            return Ok(Self::Object(raw));
        }
        serde_json::from_str(raw.get())
            .map(|text: String| Self::Text(text.into()))
            .map_err(D::Error::custom)
    }
}
