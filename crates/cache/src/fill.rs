//! Putting there what was read under a lease.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cache::{ALONE, Cache, Codec, MAX_LIST, name};
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::memory::Near;
use crate::read::Id;
use crate::remote::{Fault, Remote, Token};
use crate::stats::{Operation, Outcome, Tier};

impl Cache {
    /// In this process; the lease is given back, and if it still stood, the value is there.
    pub(crate) fn fill_near<C: Codec>(
        &self,
        near: &Near,
        (key, token): (Key, Token),
        codec: C,
        value: Option<&C::Value>,
    ) {
        let began = Instant::now();
        let entry = value.and_then(|value| {
            let (owner, encoded) = (codec.owner(value)?, codec.encode(value));
            (encoded.len() <= self.largest(key.kind())).then_some((owner, encoded))
        });
        let ttl = self.settings.ttl(key.kind());
        let filled = near.fill((key, token), entry, ALONE, ttl);
        if value.is_some() {
            self.tell_fill(key, Tier::Memory, &Ok(filled), began);
        }
    }

    /// In the shared tier, under the epoch of the lease. Nobody has to wait for it: it is good only while its lease stands.
    pub(crate) fn fill_shared<C: Codec>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        (key, (epoch, token)): (Key, (Arc<Epoch>, Token)),
        codec: C,
        value: &C::Value,
    ) {
        let raw = codec.raw(value);
        if codec.owner(value).is_none() || raw.len() > self.largest(key.kind()) {
            return;
        }
        let (cache, remote) = (Arc::clone(self), Arc::clone(remote));
        tokio::spawn(async move {
            let began = Instant::now();
            let raw = raw.stamped(epoch.number);
            let ttl = cache.settings.ttl(key.kind());
            let filled = remote.fill(key, &epoch, token, &raw, ttl).await;
            cache.tell_fill(key, Tier::Redis, &filled, began);
        });
    }

    /// A larger value is not cached.
    pub(crate) fn largest(&self, kind: Kind) -> usize {
        match kind {
            Kind::Message | Kind::Conversation | Kind::Generation => self.settings.max_value,
            Kind::Messages | Kind::List | Kind::Stats | Kind::Search => MAX_LIST,
        }
    }

    pub(crate) fn tell_fill(
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
