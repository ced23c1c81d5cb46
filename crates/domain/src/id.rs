//! Ids: one type per entity over a `UUIDv7`, so that an id of one entity cannot be used in place of another's.

use uuid::Uuid;

use crate::Timestamp;

/// Declares an id type.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Creates an id: a `UUIDv7` from a time in milliseconds and random bytes.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// Returns the creation time in whole milliseconds.
            #[must_use]
            pub fn time(self) -> Timestamp {
                let millis = self.0.as_u128() >> 80;
                Timestamp::from_micros(i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1_000))
            }

            /// Wraps the UUID of a row or a request.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the UUID, for storage.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Parses the hyphenated form that the API uses; every other form is refused.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                if text.len() != 36 {
                    return None;
                }
                Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(/// A message.
    MessageId);
id!(/// A conversation.
    ConversationId);
id!(/// A sender.
    SenderId);
id!(/// An attachment, or an upload that becomes one.
    AttachmentId);

/// Builds a `UUIDv7`: 48 bits of milliseconds, then random bits, so that ids from one clock sort by creation time.
fn uuid_v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_round_trips_and_sorts_by_its_time() {
        let at = |millis: i64| MessageId::new(Timestamp::from_micros(millis * 1_000), [7; 10]);
        let id = at(1_700_000_000_000);
        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        assert_eq!(MessageId::from_uuid(id.uuid()), id);
        assert_eq!(id.uuid().get_version_num(), 7);
        assert!(at(1) < at(2) && at(2) < id);
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = MessageId::new(Timestamp::from_micros(0), [0; 10]).to_string();
        for text in [
            "",
            "1",
            &id.replace('-', ""),
            &format!("{{{id}}}"),
            &format!("urn:uuid:{id}"),
        ] {
            assert_eq!(MessageId::parse(text), None, "{text}");
        }
    }
}
