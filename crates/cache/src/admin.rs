//! Operations for operators: state, statistics, keys and cached values.

use crate::cache::{Cache, Codec, Tiers};
use crate::gate::GateState;
use crate::key::{Key, Kind};
use crate::memory::{EncodedValue, MemoryStatus};
use crate::raw::Raw;
use crate::remote::{Fault, RemoteStats};
use crate::scoped::in_force;
use crate::settings::Backend;
use crate::stats::Sample;

/// Cached value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// In the memory tier, under this epoch, or under this generation if it belongs to a scope.
    Encoded(EncodedValue, i64),
    /// In Redis, under this epoch, and under this generation if it belongs to a scope.
    Raw(Raw, i64, Option<String>),
}

impl Cache {
    /// Backend in force. It is the configured one, except that `Redis` and `Hybrid` without a shared tier are `Off`.
    pub fn backend(&self) -> Backend {
        match &self.tiers {
            Tiers::Off => Backend::Off,
            Tiers::Memory(_) => Backend::Memory,
            Tiers::Shared { copies: None, .. } => Backend::Redis,
            Tiers::Shared {
                copies: Some(_), ..
            } => Backend::Hybrid,
        }
    }

    /// State of the gate; `None` if this instance needs no gate.
    pub fn gate(&self) -> Option<GateState> {
        self.keeps_a_gate().then(|| self.gate.state())
    }

    /// Every series with a count above zero.
    pub fn counts(&self) -> Vec<(Sample, u64)> {
        self.stats.counts()
    }

    /// Size of the memory tier by kind, after expired values were removed.
    pub fn memory_status(&self) -> Vec<(Kind, MemoryStatus)> {
        self.memory().map_or_else(Vec::new, |memory| {
            Kind::ALL.into_iter().zip(memory.sweep()).collect()
        })
    }

    /// Whether invalidations are received; `None` without copies in this process.
    pub fn is_receiving_invalidations(&self) -> Option<bool> {
        match &self.tiers {
            Tiers::Shared {
                copies: Some(copies),
                ..
            } => Some(copies.memory.is_live()),
            Tiers::Off | Tiers::Memory(_) | Tiers::Shared { copies: None, .. } => None,
        }
    }

    /// Statistics of Redis; `None` without Redis.
    pub async fn remote_stats(&self) -> Option<Result<RemoteStats, Fault>> {
        match &self.tiers {
            Tiers::Shared { remote, .. } => Some(remote.stats().await),
            Tiers::Off | Tiers::Memory(_) => None,
        }
    }

    /// Keys with names that match a glob of `*` and `?`.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<Key>, Fault> {
        match &self.tiers {
            Tiers::Off => Ok(Vec::new()),
            Tiers::Memory(memory) => Ok(memory
                .keys()
                .into_iter()
                .filter(|key| matches_glob(pattern.as_bytes(), key.to_string().as_bytes()))
                .collect()),
            Tiers::Shared { remote, .. } => remote.scan(pattern).await,
        }
    }

    /// Takes the sample of recently hit keys, for the auditor.
    pub fn take_recent_hits(&self) -> Vec<Key> {
        self.recent_hits.take()
    }

    /// Returns the value that a read would be answered with now; `None` while the gate is shut. It is not counted as a read.
    pub async fn peek(&self, key: Key) -> Option<Peek> {
        match &self.tiers {
            Tiers::Off => None,
            Tiers::Memory(memory) => {
                if !self.memory_is_open() || memory.is_fenced(key) {
                    return None;
                }
                let number = Self::number_of(memory, key);
                memory
                    .get(key, number)
                    .map(|found| Peek::Encoded(found.encoded, number))
            }
            Tiers::Shared { remote, copies } => {
                let epoch = self.gate.epoch()?;
                if let Some(copies) = copies
                    && let Some(found) = copies.memory.get(key, epoch.number)
                    && copies.tracking.barrier(tokio::time::Instant::now()).await
                    && copies.memory.get(key, epoch.number).is_some()
                {
                    return Some(Peek::Encoded(found.encoded, epoch.number));
                }
                if key.kind().is_scoped() {
                    let (raw, generation) = in_force(remote, key, &epoch).await.ok()??;
                    return Some(Peek::Raw(raw, epoch.number, Some(generation)));
                }
                let raw = remote.get(key, &epoch).await.ok()??;
                raw.is_of(epoch.number)
                    .then_some(Peek::Raw(raw, epoch.number, None))
            }
        }
    }

    /// Memory tier, if there is one.
    pub(crate) fn memory(&self) -> Option<&crate::memory::MemoryTier> {
        match &self.tiers {
            Tiers::Memory(memory) => Some(memory),
            Tiers::Shared { copies, .. } => copies.as_ref().map(|copies| &*copies.memory),
            Tiers::Off => None,
        }
    }
}

impl Peek {
    /// Whether this value would be stored in exactly this form.
    pub fn is<C: Codec>(&self, codec: C, value: &C::Value) -> bool {
        match self {
            Self::Encoded(encoded, _) => *encoded == codec.encode(value),
            Self::Raw(raw, epoch, None) => *raw == codec.raw(value).stamped(*epoch),
            Self::Raw(raw, epoch, Some(generation)) => {
                *raw == codec.raw(value).stamped_in(*epoch, generation)
            }
        }
    }
}

/// Whether a name matches a glob of `*`, `?` and plain characters, as in Redis.
fn matches_glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Position of the last star, and how much of the name it has matched so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn globs_match_as_in_redis() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "message:1", true),
            ("message:*", "message:1", true),
            ("message:*", "conversation:1", false),
            ("conversation:*:messages", "conversation:1:messages", true),
            ("conversation:*:messages", "conversation:1", false),
            ("message:?2", "message:12", true),
            ("message:?2", "message:2", false),
            ("*a*b", "xaxxbxab", true),
            ("*a*b", "xaxxbxa", false),
            ("", "x", false),
            ("", "", true),
        ] {
            assert_eq!(
                matches_glob(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
