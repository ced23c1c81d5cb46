//! Fills: values that were loaded under a lease are stored in the tiers.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cache::{Cache, Codec, LOCAL_EPOCH, MAX_LIST_BYTES, name};
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::memory::MemoryTier;
use crate::read::Id;
use crate::remote::{Fault, Remote};
use crate::stats::{Operation, Outcome, Tier};
use crate::token::Token;

impl Cache {
    /// Fills the memory tier if the lease is still valid, and ends the lease.
    pub(crate) fn fill_memory<C: Codec>(
        &self,
        memory: &MemoryTier,
        (key, token): (Key, Token),
        codec: C,
        value: Option<&C::Value>,
    ) {
        let began = Instant::now();
        let entry = value.and_then(|value| {
            let (owner, encoded) = (codec.owner(value)?, codec.encode(value));
            (encoded.len() <= self.max_bytes(key.kind())).then_some((owner, encoded))
        });
        let ttl = self.settings.ttl(key.kind());
        let filled = memory.fill((key, token), entry, LOCAL_EPOCH, ttl);
        if value.is_some() {
            self.record_fill(key, Tier::Memory, &Ok(filled), began);
        }
    }

    /// Fills the shared tier in the background, under the epoch of the lease. The fill has no effect once the lease is gone.
    pub(crate) fn fill_shared<C: Codec>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        (key, (epoch, token)): (Key, (Arc<Epoch>, Token)),
        codec: C,
        value: &C::Value,
    ) {
        let raw = codec.raw(value);
        if codec.owner(value).is_none() || raw.len() > self.max_bytes(key.kind()) {
            return;
        }
        let (cache, remote) = (Arc::clone(self), Arc::clone(remote));
        tokio::spawn(async move {
            let began = Instant::now();
            let raw = raw.stamped(epoch.number);
            let ttl = cache.settings.ttl(key.kind());
            let filled = remote.fill(key, &epoch, token, &raw, ttl).await;
            cache.record_fill(key, Tier::Redis, &filled, began);
        });
    }

    /// Largest value of a kind that is cached, in bytes.
    pub(crate) fn max_bytes(&self, kind: Kind) -> usize {
        match kind {
            Kind::Message | Kind::Conversation | Kind::Generation => self.settings.max_value,
            Kind::Messages | Kind::List | Kind::Stats | Kind::Search => MAX_LIST_BYTES,
        }
    }

    /// Counts and logs a fill.
    pub(crate) fn record_fill(
        &self,
        key: Key,
        tier: Tier,
        filled: &Result<bool, Fault>,
        began: Instant,
    ) {
        let outcome = match filled {
            Ok(true) => {
                tracing::debug!("Cached {}: {}", name(key.kind()), Id(key));
                Outcome::Ok
            }
            Ok(false) => Outcome::Refused,
            Err(_) => Outcome::Error,
        };
        self.count((key.kind(), tier), Operation::Set, outcome, began.elapsed());
    }
}
