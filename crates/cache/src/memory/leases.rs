//! Leases and fences of the memory tier.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;
use crate::token::Token;

/// Duration of a reader's lease, as in the shared tier. A reader that takes longer may not fill.
pub(crate) const READ_LEASE: Duration = Duration::from_secs(2);
/// Duration of a fence, as in the shared tier. The transaction of a writer that takes longer has been ended by the database.
pub(crate) const WRITE_FENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct KeyLease {
    reader: Option<(Token, Instant)>,
    writers: Vec<(Token, Instant)>,
}

impl KeyLease {
    fn expire(&mut self, now: Instant) {
        self.reader = self.reader.filter(|(_, until)| now < *until);
        self.writers.retain(|(_, until)| now < *until);
    }

    fn is_over(&self) -> bool {
        self.reader.is_none() && self.writers.is_empty()
    }
}

/// Leases and fences of the keys of a shard.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<Key, KeyLease>);

impl Leases {
    /// Acquires the reader's lease, revoking that of another reader, unless the key is fenced.
    pub(super) fn acquire(&mut self, key: Key, token: Token, now: Instant) -> bool {
        let lease = self.0.entry(key).or_default();
        lease.expire(now);
        if !lease.writers.is_empty() {
            return false;
        }
        lease.reader = Some((token, now + READ_LEASE));
        true
    }

    /// Ends the reader's lease if it still is this one. Returns whether it was.
    pub(super) fn give_back(&mut self, key: Key, token: Token, now: Instant) -> bool {
        let Some(lease) = self.0.get_mut(&key) else {
            return false;
        };
        lease.expire(now);
        let is_valid = lease.reader.is_some_and(|(reader, _)| reader == token);
        if is_valid {
            lease.reader = None;
        }
        self.tidy(key);
        is_valid
    }

    /// Adds a writer's fence and revokes the reader's lease.
    pub(super) fn fence(&mut self, key: Key, token: Token, now: Instant) {
        let lease = self.0.entry(key).or_default();
        lease.reader = None;
        lease.writers.push((token, now + WRITE_FENCE));
    }

    /// Removes a writer's fence and revokes the reader's lease.
    pub(super) fn release(&mut self, key: Key, token: Token) {
        if let Some(lease) = self.0.get_mut(&key) {
            lease.reader = None;
            lease.writers.retain(|(writer, _)| *writer != token);
        }
        self.tidy(key);
    }

    pub(super) fn is_fenced(&self, key: Key, now: Instant) -> bool {
        self.0
            .get(&key)
            .is_some_and(|lease| lease.writers.iter().any(|(_, until)| now < *until))
    }

    /// Revokes the leases of all readers.
    pub(super) fn drop_readers(&mut self) {
        for lease in self.0.values_mut() {
            lease.reader = None;
        }
    }

    /// Removes expired leases and fences.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        self.0.retain(|_, lease| {
            lease.expire(now);
            !lease.is_over()
        });
    }

    fn tidy(&mut self, key: Key) {
        if self.0.get(&key).is_some_and(KeyLease::is_over) {
            self.0.remove(&key);
        }
    }
}
