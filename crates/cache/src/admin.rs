//! What an operator asks and does.

use crate::cache::{Cache, Codec, Place};
use crate::gate::GateState;
use crate::key::{Key, Kind};
use crate::memory::{EncodedValue, MemoryStatus};
use crate::raw::Raw;
use crate::remote::{Fault, RemoteStats};
use crate::scoped::in_force;
use crate::settings::Backend;
use crate::stats::Sample;

/// What is there, in either form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// In this process, under this number: of its generation, if it belongs to a scope.
    Encoded(EncodedValue, i64),
    /// In Redis, under this epoch, and this generation if it belongs to a scope.
    Raw(Raw, i64, Option<String>),
}

impl Cache {
    /// What is in force: that of the settings, but for `Redis` and `Hybrid` without a shared tier.
    pub fn backend(&self) -> Backend {
        match &self.place {
            Place::Off => Backend::Off,
            Place::Memory(_) => Backend::Memory,
            Place::Shared { copies: None, .. } => Backend::Redis,
            Place::Shared {
                copies: Some(_), ..
            } => Backend::Hybrid,
        }
    }

    /// The gate; `None` where there is none to keep.
    pub fn gate(&self) -> Option<GateState> {
        self.keeps_a_gate().then(|| self.gate.state())
    }

    /// Every series that has counted something.
    pub fn counts(&self) -> Vec<(Sample, u64)> {
        self.stats.counts()
    }

    /// What is in this process, by kind; what has expired is swept out first.
    pub fn memory_status(&self) -> Vec<(Kind, MemoryStatus)> {
        self.near().map_or_else(Vec::new, |near| {
            Kind::ALL.into_iter().zip(near.sweep()).collect()
        })
    }

    /// Whether what others write is heard; `None` where nothing depends on it.
    pub fn is_receiving_invalidations(&self) -> Option<bool> {
        match &self.place {
            Place::Shared {
                copies: Some(copies),
                ..
            } => Some(copies.near.is_live()),
            Place::Off | Place::Memory(_) | Place::Shared { copies: None, .. } => None,
        }
    }

    /// What Redis says of itself; `None` without one.
    pub async fn remote_stats(&self) -> Option<Result<RemoteStats, Fault>> {
        match &self.place {
            Place::Shared { remote, .. } => Some(remote.stats().await),
            Place::Off | Place::Memory(_) => None,
        }
    }

    /// Our keys whose names fit the glob, which knows `*` and `?`.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<Key>, Fault> {
        match &self.place {
            Place::Off => Ok(Vec::new()),
            Place::Memory(near) => Ok(near
                .keys()
                .into_iter()
                .filter(|key| fits(pattern.as_bytes(), key.to_string().as_bytes()))
                .collect()),
            Place::Shared { remote, .. } => remote.scan(pattern).await,
        }
    }

    /// Keys that were hit of late, for the auditor.
    pub fn take_recent_hits(&self) -> Vec<Key> {
        self.seen.take()
    }

    /// What a read would be answered with now; nothing while the gate is shut. It is no read: nothing is counted.
    pub async fn peek(&self, key: Key) -> Option<Peek> {
        match &self.place {
            Place::Off => None,
            Place::Memory(near) => {
                if !self.memory_is_open() || near.is_fenced(key) {
                    return None;
                }
                let number = Self::number_of(near, key);
                near.get(key, number)
                    .map(|found| Peek::Encoded(found.encoded, number))
            }
            Place::Shared { remote, copies } => {
                let epoch = self.gate.epoch()?;
                if let Some(copies) = copies
                    && let Some(found) = copies.near.get(key, epoch.number)
                    && copies.tracking.barrier(tokio::time::Instant::now()).await
                    && copies.near.get(key, epoch.number).is_some()
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

    pub(crate) fn near(&self) -> Option<&crate::memory::Near> {
        match &self.place {
            Place::Memory(near) => Some(near),
            Place::Shared { copies, .. } => copies.as_ref().map(|copies| &*copies.near),
            Place::Off => None,
        }
    }
}

impl Peek {
    /// Whether it is what this value would be kept as.
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

/// Whether a name fits a glob of `*`, `?` and plain characters, as Redis understands it.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and how much of the name it has taken so far.
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
    use super::fits;

    #[test]
    fn globs_are_understood() {
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
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
