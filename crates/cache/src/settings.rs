//! How the cache is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, boot_clock};
use crate::gate::MARGIN;
use crate::key::Kind;
use crate::remote::Token;

/// Where values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Nowhere.
    Off,
    /// In this process; for one instance.
    Memory,
    /// In Redis.
    Redis,
    /// In Redis, and copies in this process.
    Hybrid,
}

impl Backend {
    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Hybrid => "hybrid",
        }
    }
}

/// How long values live at most.
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
    /// That of a kind.
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

/// How the cache is set up.
#[derive(Clone)]
pub struct CacheSettings {
    /// Where values are kept.
    pub backend: Backend,
    /// How long they live.
    pub ttls: Ttls,
    /// Entries in this process, at most.
    pub max_entries: usize,
    /// Their bytes, at most.
    pub max_bytes: usize,
    /// A larger value is not cached.
    pub max_value: usize,
    /// How old a copy in this process may be; zero asks Redis each time whether it still holds.
    pub max_staleness: Duration,
    /// How long a read may wait for Redis in all, however many questions it asks.
    pub budget: Duration,
    /// How long nothing at all may come from Redis before reads go on without it.
    pub stall_timeout: Duration,
    /// For how long what depends on the state of the database waits for a Redis that does not tell its marker.
    pub marker_timeout: Duration,
    /// Whether other instances may write to the same database: then the gate is kept.
    pub shared_database: bool,
    /// What the clocks of instances and database may differ by in a second.
    pub margin: Duration,
    /// By which gates and registrations end.
    pub clock: Clock,
    /// Random numbers, for tokens and for spreading times to live.
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
    /// The defaults of a backend.
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

    /// The time to live of a kind, shorter by up to a tenth, so that what was filled together does not end together.
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
    fn what_was_filled_together_ends_within_the_last_tenth_of_its_time() {
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
