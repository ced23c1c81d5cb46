//! What is cached, and under which name.

use std::fmt;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One message.
    Message,
    /// One conversation.
    Conversation,
    /// The newest messages of a conversation.
    Messages,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Message, Self::Conversation, Self::Messages];

    /// Its word in metrics and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Conversation => "conversation",
            Self::Messages => "messages",
        }
    }

    /// Its place in tables of counters.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// A key: its kind and the id of what it holds. Small and `Copy`, so that a hit makes no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    id: u128,
}

impl Key {
    /// Of the thing with that id.
    pub const fn new(kind: Kind, id: u128) -> Self {
        Self { kind, id }
    }

    /// What it holds.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Whose.
    pub const fn id(self) -> u128 {
        self.id
    }

    /// The name of its lease: the text in braces alone picks the slot of a cluster, so both are in one.
    pub fn lease(self) -> String {
        format!("lease:{{{self}}}")
    }

    /// The key of that name; `None` if it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = if let Some(id) = text.strip_prefix("message:") {
            (Kind::Message, id)
        } else {
            let rest = text.strip_prefix("conversation:")?;
            rest.strip_suffix(":messages")
                .map_or((Kind::Conversation, rest), |id| (Kind::Messages, id))
        };
        let key = Self::new(kind, parse_id(id)?);
        // Only as we write it: upper case, or hyphens elsewhere, would be another key.
        (key.to_string() == text).then_some(key)
    }

    /// The key of a lease of that name; `None` if it is not one of ours.
    pub fn parse_lease(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("lease:{")?.strip_suffix('}')?;
        Self::parse(inner)
    }
}

fn parse_id(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

impl fmt::Display for Key {
    /// The name in Redis.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, suffix) = match self.kind {
            Kind::Message => ("message:", ""),
            Kind::Conversation => ("conversation:", ""),
            Kind::Messages => ("conversation:", ":messages"),
        };
        // As a UUID is written.
        let id = format_args!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            self.id >> 96,
            (self.id >> 80) & 0xffff,
            (self.id >> 64) & 0xffff,
            (self.id >> 48) & 0xffff,
            self.id & 0xffff_ffff_ffff,
        );
        write!(f, "{prefix}{id}{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u128 = 0x0192_f0c1_2345_7abc_8def_0123_4567_89ab;

    #[test]
    fn names_are_those_of_the_contract() {
        let name = |kind| Key::new(kind, ID).to_string();
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(name(Kind::Message), format!("message:{id}"));
        assert_eq!(name(Kind::Conversation), format!("conversation:{id}"));
        assert_eq!(name(Kind::Messages), format!("conversation:{id}:messages"));
        let lease = Key::new(Kind::Message, ID).lease();
        assert_eq!(lease, format!("lease:{{message:{id}}}"));
    }

    #[test]
    fn every_name_is_read_back() {
        for kind in Kind::ALL {
            for id in [ID, 0, 1, u128::MAX] {
                let key = Key::new(kind, id);
                assert_eq!(Key::parse(&key.to_string()), Some(key));
                assert_eq!(Key::parse_lease(&key.lease()), Some(key));
            }
        }
    }

    #[test]
    fn names_that_are_not_ours_are_left_alone() {
        for text in [
            "",
            "message:",
            "message:x",
            "message:0192F0C1-2345-7ABC-8DEF-0123456789AB",
            "message:0192f0c123457abc8def0123456789ab",
            "message:0192f0c1-2345-7abc-8def-0123456789ab:messages",
            "conversation:0192f0c1-2345-7abc-8def-0123456789ab:other",
            "session:1",
        ] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}
