//! How single values are spelled.

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

use super::time;
use crate::paging::Question;

/// What is spelled as a word.
pub(super) trait Spelled: Copy {
    fn spell(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn read(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($enum:ty),+) => {$(
        impl Spelled for $enum {
            fn spell(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }

            fn read(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        }
    )+};
}

words![
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
        impl Spelled for $id {
            fn spell(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self, f)
            }

            fn read(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        }
    )+};
}

ids![AttachmentId, ConversationId, MessageId];

impl Spelled for Timestamp {
    fn spell(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        time::write(self, f)
    }

    fn read(word: &str) -> Option<Self> {
        time::read(word)
    }
}

impl Spelled for Question {
    fn spell(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }

    fn read(word: &str) -> Option<Self> {
        let number = u128::from_str_radix(word, 16).ok()?;
        Some(Self(number)).filter(|question| Word(*question).to_string() == word)
    }
}

/// A value as its word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<T>(pub(super) T);

impl<T: Spelled> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.spell(f)
    }
}

impl<T: Spelled> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: Spelled> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OfWord(PhantomData))
    }
}

struct OfWord<T>(PhantomData<T>);

impl<T: Spelled> Visitor<'_> for OfWord<T> {
    type Value = Word<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word of ours")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
        T::read(word)
            .map(Word)
            .ok_or_else(|| E::custom("not a word of ours"))
    }
}

/// Whose it is.
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

/// A text; an empty one is `null`.
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
        // Not `deserialize_option`, for which a field that is not there would be `null`.
        deserializer.deserialize_any(OfText)
    }
}

struct OfText;

impl<'de> Visitor<'de> for OfText {
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

/// A text that is there, were it empty.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Given<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a String> for Given<'a> {
    fn from(text: &'a String) -> Self {
        Self(text.into())
    }
}

impl From<Given<'_>> for String {
    fn from(Given(text): Given<'_>) -> Self {
        text.into_owned()
    }
}

/// A field that is there, with a value or `null`. A derived `Option` takes a missing field for `null`.
pub(super) fn there<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// The owner's own data, as it is: the order of its members and its numbers stay. What is no JSON object (which nobody writes)
/// stands as a text, so that it, too, comes back.
#[derive(Debug)]
pub(super) enum Data<'a> {
    Object(&'a RawValue),
    Text(Cow<'a, str>),
}

impl<'a> From<&'a Json> for Data<'a> {
    fn from(json: &'a Json) -> Self {
        let text = json.as_str();
        match serde_json::from_str::<&RawValue>(text) {
            // Blanks around it would be lost.
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
