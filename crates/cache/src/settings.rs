//! Settings of the cache.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, boot_clock};
use crate::gate::MARGIN;
use crate::key::Kind;
use crate::token::Token;

/// Where values are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Nowhere.
    Off,
    /// In this process; for a single instance.
    Memory,
    /// In Redis.
    Redis,
    /// In Redis, with copies in this process.
    Hybrid,
}

impl Backend {
    /// Name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Hybrid => "hybrid",
        }
    }
}

/// Times to live, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttls {
    /// A message.
    pub message: Duration,
    /// A conversation.
    pub conversation: Duration,
    /// The newest messages of a conversation.
    pub messages: Duration,
    /// A list of conversations.
    pub list: Duration,
    /// Statistics.
    pub stats: Duration,
    /// A search.
    pub search: Duration,
}

impl Default for Ttls {
    fn default() -> Self {
        Self {
            message: Duration::from_mins(5),
            conversation: Duration::from_mins(5),
            messages: Duration::from_hours(1),
            list: Duration::from_mins(5),
            stats: Duration::from_mins(10),
            search: Duration::from_mins(5),
        }
    }
}

impl Ttls {
    /// Time to live of a kind.
    pub const fn of(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Message => self.message,
            Kind::Conversation => self.conversation,
            Kind::Messages => self.messages,
            Kind::List => self.list,
            Kind::Stats => self.stats,
            Kind::Search => self.search,
            Kind::Generation => crate::remote::GENERATION_TTL,
        }
    }
}

/// Settings of the cache.
#[derive(Clone)]
pub struct CacheSettings {
    /// Where values are cached.
    pub backend: Backend,
    /// Times to live.
    pub ttls: Ttls,
    /// Most entries in this process.
    pub max_entries: usize,
    /// Most bytes of entries in this process.
    pub max_bytes: usize,
    /// Largest message or conversation that is cached, in bytes.
    pub max_value: usize,
    /// Accepted staleness of copies in this process; zero checks every hit with Redis.
    pub max_staleness: Duration,
    /// How long a read may wait for Redis in total, however many requests it sends.
    pub budget: Duration,
    /// How long Redis may answer no request at all before reads skip it.
    pub stall_timeout: Duration,
    /// How long to wait for the marker in Redis before a database server is accepted without a comparison.
    pub marker_timeout: Duration,
    /// Whether other instances may write to the same database, so that a gate is needed.
    pub shared_database: bool,
    /// Allowed difference between the clocks of an instance and the database within a second.
    pub margin: Duration,
    /// Clock by which gates and registrations end.
    pub clock: Clock,
    /// Source of random numbers, for tokens and for spreading times to live.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl std::fmt::Debug for CacheSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheSettings")
            .field("backend", &self.backend)
            .field("max_staleness", &self.max_staleness)
            .finish_non_exhaustive()
    }
}

impl CacheSettings {
    /// Default settings of a backend.
    pub fn new(backend: Backend, random: Arc<dyn Fn() -> u128 + Send + Sync>) -> Self {
        Self {
            backend,
            ttls: Ttls::default(),
            max_entries: 100_000,
            max_bytes: 256 * 1024 * 1024,
            max_value: 64 * 1024,
            max_staleness: Duration::ZERO,
            budget: Duration::from_millis(50),
            stall_timeout: Duration::from_millis(10),
            marker_timeout: Duration::ZERO,
            shared_database: true,
            margin: MARGIN,
            clock: boot_clock(),
            random,
        }
    }

    pub(crate) fn token(&self) -> Token {
        Token((self.random)())
    }

    /// Time to live of a kind, reduced at random by up to a tenth, so that values filled together do not expire together.
    pub(crate) fn ttl(&self, kind: Kind) -> Duration {
        let ttl = self.ttls.of(kind);
        let tenth = u64::try_from(ttl.as_millis() / 10).unwrap_or(u64::MAX);
        let random = u64::try_from((self.random)() & u128::from(u64::MAX)).unwrap_or(0);
        let less = if tenth == 0 { 0 } else { random % (tenth + 1) };
        ttl.saturating_sub(Duration::from_millis(less))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn times_to_live_are_spread_over_the_last_tenth() {
        let count = AtomicU64::new(0);
        let random = move || u128::from(count.fetch_add(7, Ordering::Relaxed));
        let settings = CacheSettings::new(Backend::Memory, Arc::new(random));
        for kind in Kind::ALL {
            let most = settings.ttls.of(kind);
            let times: Vec<Duration> = (0..100_000).map(|_| settings.ttl(kind)).collect();
            let (shortest, longest) = (times.iter().min(), times.iter().max());
            assert!(
                shortest.is_some_and(|ttl| *ttl >= most * 9 / 10),
                "{kind:?}"
            );
            assert!(
                shortest.is_some_and(|ttl| *ttl < most * 91 / 100),
                "{kind:?}"
            );
            assert!(
                longest.is_some_and(|ttl| *ttl <= most && *ttl > most * 99 / 100),
                "{kind:?}"
            );
        }
    }
}
