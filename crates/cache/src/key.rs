//! Keys of cached values, and their names in Redis.

use std::fmt;

/// Kind of a cached value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One message.
    Message,
    /// One conversation.
    Conversation,
    /// The newest messages of a conversation.
    Messages,
    /// The first page of a list of conversations.
    List,
    /// Statistics.
    Stats,
    /// The first page of a search.
    Search,
    /// Generation token of a scope: values stored under another token are invalid.
    Generation,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Message,
        Self::Conversation,
        Self::Messages,
        Self::List,
        Self::Stats,
        Self::Search,
        Self::Generation,
    ];

    /// Name in metrics and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Conversation => "conversation",
            Self::Messages => "messages",
            Self::List => "list",
            Self::Stats => "stats",
            Self::Search => "search",
            Self::Generation => "generation",
        }
    }

    /// Index in tables of counters.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Whether values of this kind depend on the generation of their scope, and have no leases.
    pub const fn is_scoped(self) -> bool {
        match self {
            Self::List | Self::Stats | Self::Search => true,
            Self::Message | Self::Conversation | Self::Messages | Self::Generation => false,
        }
    }
}

/// Key of a cached value. It is small and `Copy`, so that a hit formats no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    limit: u16,
    query: u64,
    id: [u64; 2],
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
const fn halves(id: u128) -> [u64; 2] {
    [(id >> 64) as u64, id as u64]
}

impl Key {
    /// Key of no message; its invalidation drops all copies in an instance.
    pub(crate) const EVERYTHING: Self = Self::new(Kind::Message, 0);

    /// Key of the record with this id; for generations and statistics, of the scope with this id.
    pub const fn new(kind: Kind, id: u128) -> Self {
        Self {
            kind,
            limit: 0,
            query: 0,
            id: halves(id),
        }
    }

    /// Key of the result of a query in a scope: hashes of both, and the limit. Only a search passes its limit; the limit of a
    /// list is part of the query.
    pub const fn of_query(kind: Kind, scope: u128, query: u64, limit: u16) -> Self {
        Self {
            kind,
            limit,
            query,
            id: halves(scope),
        }
    }

    /// Kind of the value.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Id of the record or scope.
    pub const fn id(self) -> u128 {
        ((self.id[0] as u128) << 64) | self.id[1] as u128
    }

    /// Key of the generation of its scope.
    #[must_use]
    pub const fn generation(self) -> Self {
        Self::new(Kind::Generation, self.id())
    }

    /// Name of its lease. Only the text in braces selects the slot of a cluster, so a key and its lease share a slot.
    pub fn lease(self) -> String {
        format!("lease:{{{self}}}")
    }

    /// Parses the name of a key; `None` if it is not a name of this service.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once(':')?;
        let key = match head {
            "message" => Self::new(Kind::Message, parse_id(rest)?),
            "conversation" => match rest.strip_suffix(":messages") {
                Some(id) => Self::new(Kind::Messages, parse_id(id)?),
                None => Self::new(Kind::Conversation, parse_id(rest)?),
            },
            "conversations" => {
                let (scope, query) = parse_scope(rest)?;
                let query = u64::from_str_radix(query.strip_prefix(':')?, 16).ok()?;
                Self::of_query(Kind::List, scope, query, 0)
            }
            "search" => {
                let (scope, rest) = parse_scope(rest)?;
                let (query, limit) = rest.strip_prefix(':')?.split_once(':')?;
                let query = u64::from_str_radix(query, 16).ok()?;
                Self::of_query(Kind::Search, scope, query, limit.parse().ok()?)
            }
            "stats" => Self::new(Kind::Stats, parse_scope(rest)?.0),
            "generation" => Self::new(Kind::Generation, parse_scope(rest)?.0),
            _ => return None,
        };
        // Only the canonical spelling: upper case or hyphens elsewhere would be another key.
        (key.to_string() == text).then_some(key)
    }

    /// Parses the name of a lease to its key; `None` if it is not a name of this service.
    pub fn parse_lease(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("lease:{")?.strip_suffix('}')?;
        Self::parse(inner)
    }
}

fn parse_id(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

/// Parses the scope in braces; returns it with the remaining text.
fn parse_scope(text: &str) -> Option<(u128, &str)> {
    let (scope, rest) = text.strip_prefix('{')?.split_once('}')?;
    Some((u128::from_str_radix(scope, 16).ok()?, rest))
}

/// Id, formatted as a UUID.
struct Uuid(u128);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            self.0 >> 96,
            (self.0 >> 80) & 0xffff,
            (self.0 >> 64) & 0xffff,
            (self.0 >> 48) & 0xffff,
            self.0 & 0xffff_ffff_ffff,
        )
    }
}

impl fmt::Display for Key {
    /// Name in Redis. Only the text in braces selects the slot of a cluster, so the values of a scope share a slot with its
    /// generation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, uuid) = (self.id(), Uuid(self.id()));
        let (query, limit) = (self.query, self.limit);
        match self.kind {
            Kind::Message => write!(f, "message:{uuid}"),
            Kind::Conversation => write!(f, "conversation:{uuid}"),
            Kind::Messages => write!(f, "conversation:{uuid}:messages"),
            Kind::List => write!(f, "conversations:{{{id:032x}}}:{query:016x}"),
            Kind::Stats => write!(f, "stats:{{{id:032x}}}"),
            Kind::Search => write!(f, "search:{{{id:032x}}}:{query:016x}:{limit}"),
            Kind::Generation => write!(f, "generation:{{{id:032x}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u128 = 0x0192_f0c1_2345_7abc_8def_0123_4567_89ab;

    #[test]
    fn names_match_the_contract() {
        let name = |kind| Key::new(kind, ID).to_string();
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(name(Kind::Message), format!("message:{id}"));
        assert_eq!(name(Kind::Conversation), format!("conversation:{id}"));
        assert_eq!(name(Kind::Messages), format!("conversation:{id}:messages"));
        let scope = "0192f0c123457abc8def0123456789ab";
        assert_eq!(name(Kind::Stats), format!("stats:{{{scope}}}"));
        assert_eq!(name(Kind::Generation), format!("generation:{{{scope}}}"));
        let list = Key::of_query(Kind::List, ID, 0xab, 0);
        assert_eq!(
            list.to_string(),
            format!("conversations:{{{scope}}}:00000000000000ab")
        );
        let search = Key::of_query(Kind::Search, ID, 0xab, 20);
        assert_eq!(
            search.to_string(),
            format!("search:{{{scope}}}:00000000000000ab:20")
        );
        assert_eq!(search.generation(), Key::new(Kind::Generation, ID));
        let lease = Key::new(Kind::Message, ID).lease();
        assert_eq!(lease, format!("lease:{{message:{id}}}"));
    }

    #[test]
    fn every_name_is_parsed_back() {
        let of_query = |kind, id| match kind {
            Kind::List => Key::of_query(kind, id, 7, 0),
            Kind::Search => Key::of_query(kind, id, u64::MAX, 50),
            Kind::Message
            | Kind::Conversation
            | Kind::Messages
            | Kind::Stats
            | Kind::Generation => Key::new(kind, id),
        };
        for kind in Kind::ALL {
            for id in [ID, 0, 1, u128::MAX] {
                let key = of_query(kind, id);
                assert_eq!(Key::parse(&key.to_string()), Some(key));
                assert_eq!(Key::parse_lease(&key.lease()), Some(key));
            }
        }
    }

    #[test]
    fn foreign_names_are_not_parsed() {
        for text in [
            "",
            "message:",
            "message:x",
            "message:0192F0C1-2345-7ABC-8DEF-0123456789AB",
            "message:0192f0c123457abc8def0123456789ab",
            "message:0192f0c1-2345-7abc-8def-0123456789ab:messages",
            "conversation:0192f0c1-2345-7abc-8def-0123456789ab:other",
            "session:1",
            "stats:0192f0c123457abc8def0123456789ab",
            "stats:{0192f0c123457abc8def0123456789ab}:1",
            "search:{0192f0c123457abc8def0123456789ab}:00000000000000ab",
            "search:{0192f0c123457abc8def0123456789ab}:00000000000000ab:-1",
            "conversations:{0192f0c123457abc8def0123456789ab}",
        ] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}
