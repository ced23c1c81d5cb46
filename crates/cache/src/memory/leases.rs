//! Leases and fences of keys in this process.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;
use crate::remote::Token;

/// As in the shared tier. A reader who takes longer may not fill; a writer who takes longer has been ended by the database.
pub(crate) const READ_LEASE: Duration = Duration::from_secs(2);
pub(crate) const WRITE_FENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Lease {
    reader: Option<(Token, Instant)>,
    writers: Vec<(Token, Instant)>,
}

impl Lease {
    fn expire(&mut self, now: Instant) {
        self.reader = self.reader.filter(|(_, until)| now < *until);
        self.writers.retain(|(_, until)| now < *until);
    }

    fn is_over(&self) -> bool {
        self.reader.is_none() && self.writers.is_empty()
    }
}

/// The leases of some keys.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<Key, Lease>);

impl Leases {
    /// Takes the reader's lease from whoever had it, unless a writer is there.
    pub(super) fn acquire(&mut self, key: Key, token: Token, now: Instant) -> bool {
        let lease = self.0.entry(key).or_default();
        lease.expire(now);
        if !lease.writers.is_empty() {
            return false;
        }
        lease.reader = Some((token, now + READ_LEASE));
        true
    }

    /// Ends the reader's lease if it still is this one; whether it was.
    pub(super) fn give_back(&mut self, key: Key, token: Token, now: Instant) -> bool {
        let Some(lease) = self.0.get_mut(&key) else {
            return false;
        };
        lease.expire(now);
        let stands = lease.reader.is_some_and(|(reader, _)| reader == token);
        if stands {
            lease.reader = None;
        }
        self.tidy(key);
        stands
    }

    /// A writer comes: the reader's lease is gone.
    pub(super) fn fence(&mut self, key: Key, token: Token, now: Instant) {
        let lease = self.0.entry(key).or_default();
        lease.reader = None;
        lease.writers.push((token, now + WRITE_FENCE));
    }

    /// A writer goes, and with it any reader's lease.
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

    /// No reader may fill any more.
    pub(super) fn forget_readers(&mut self) {
        for lease in self.0.values_mut() {
            lease.reader = None;
        }
    }

    /// Leases of those who never came back.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        self.0.retain(|_, lease| {
            lease.expire(now);
            !lease.is_over()
        });
    }

    fn tidy(&mut self, key: Key) {
        if self.0.get(&key).is_some_and(Lease::is_over) {
            self.0.remove(&key);
        }
    }
}
