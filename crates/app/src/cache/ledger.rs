//! Database side of the cache protocol.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parlance_cache::{
    Epoch, Holder, InstanceKind, Key, Ledger, LedgerError, Pending, PendingRows, Registered,
    RegistrationState, RemoteId, Renewal, Serving, Token,
};
use parlance_storage::db::cache::{
    CacheDatabaseState, CacheRegistration, CacheRenewal, CacheServingTime, CacheTier, CacheTimes,
    PendingKey,
};
use parlance_storage::{Database, PendingKeys, StorageError};
use uuid::Uuid;

use crate::limit::within;

/// An instance is removed after this silence: long enough for an operator to notice it.
const INSTANCE_EXPIRY: Duration = Duration::from_hours(1);

/// Coordination between instances through their database.
pub(crate) struct DatabaseLedger {
    /// For writers.
    database: Database,
    /// Reserved connections for reconciliation: a gate must not shut because requests use all others.
    reserved: Database,
    instance: Uuid,
    times: CacheTimes,
    /// Whether this instance serves from the in-process cache alone, and so without an epoch.
    memory: AtomicBool,
}

impl DatabaseLedger {
    /// Ledger of this instance. `gate_ttl` is the validity of a reconciliation pass, `margin` the tolerated clock
    /// difference.
    pub(crate) fn new(
        database: Database,
        instance: Uuid,
        gate_ttl: Duration,
        margin: Duration,
    ) -> Self {
        Self {
            reserved: database.reserved_pool(),
            database,
            instance,
            times: CacheTimes {
                serve: gate_ttl.saturating_add(margin),
                alive: gate_ttl.saturating_mul(3),
                remove_after: INSTANCE_EXPIRY,
            },
            memory: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Ledger for DatabaseLedger {
    async fn register(&self, kind: InstanceKind) -> Result<Registered, LedgerError> {
        let tier = match kind {
            InstanceKind::Off => CacheTier::None,
            InstanceKind::Memory => CacheTier::Memory,
            InstanceKind::Shared => CacheTier::Shared,
        };
        let registering = self
            .reserved
            .cache_register(self.instance, tier, self.times);
        // A registration that takes longer than it is valid is void.
        let seen = within(self.times.alive, registering)
            .await
            .map_err(failed)?;
        let CacheRegistration {
            others,
            free,
            memory_serves,
            clock,
        } = seen;
        Ok(Registered {
            others,
            free,
            memory_serves,
            clock,
        })
    }

    async fn renew(&self, answering: &RemoteId) -> Result<Renewal, LedgerError> {
        self.memory.store(false, Ordering::Relaxed);
        let renewal = self
            .reserved
            .cache_renew(self.instance, answering, self.times)
            .await
            .map_err(failed)?;
        Ok(match renewal {
            CacheRenewal::Renewed { epoch } => Renewal::Renewed(Epoch {
                number: epoch,
                remote: RemoteId::clone(answering),
            }),
            CacheRenewal::Recorded => Renewal::Recorded,
            CacheRenewal::TooYoung => Renewal::TooYoung,
        })
    }

    async fn registration_state(&self) -> Result<RegistrationState, LedgerError> {
        let CacheDatabaseState {
            installation,
            database,
            server,
            is_accepted,
            is_shared,
            epoch,
        } = self.reserved.cache_database_state().await.map_err(failed)?;
        Ok(RegistrationState {
            holder: Holder {
                database: format!("{installation}/{database}"),
                server,
            },
            is_accepted,
            is_shared,
            epoch,
        })
    }

    async fn accept(&self, server: &str) -> Result<bool, LedgerError> {
        self.reserved.cache_accept(server).await.map_err(failed)
    }

    async fn count(&self, known: Option<i64>) -> Result<Option<i64>, LedgerError> {
        let known = known.unwrap_or_default();
        self.reserved.cache_count(known).await.map_err(failed)
    }

    async fn begin(
        &self,
        number: i64,
        remote: &RemoteId,
        lost: Option<i64>,
    ) -> Result<(), LedgerError> {
        let begun = self.reserved.cache_begin(number, remote).await;
        begun.map_err(failed)?;
        // Last, because it increments the counter: until then each pass detects again that the database went back.
        if let Some(lost) = lost {
            self.reserved
                .database_went_back(lost)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn renew_memory(&self) -> Result<(), LedgerError> {
        self.memory.store(true, Ordering::Relaxed);
        self.reserved
            .cache_renew_memory(self.instance, self.times)
            .await
            .map_err(failed)
    }

    async fn pending(&self, limit: i64) -> Result<PendingRows, LedgerError> {
        // Keys of an ended epoch matter, too: an in-process cache has no epoch.
        let retired_too = self.memory.load(Ordering::Relaxed);
        let rows = self
            .reserved
            .cache_pending(retired_too, limit)
            .await
            .map_err(failed)?;
        let mut found = PendingRows::default();
        for row in rows {
            match pending(&row) {
                Some(known) => found.known.push(known),
                None => found.unknown.push(row.id),
            }
        }
        Ok(found)
    }

    async fn waiting(&self) -> Result<u64, LedgerError> {
        let waiting = self.reserved.cache_waiting().await.map_err(failed)?;
        Ok(waiting.unsigned_abs())
    }

    async fn settle(&self, rows: &[i64], epoch: Option<i64>) -> Result<bool, LedgerError> {
        self.reserved
            .cache_settle(rows, epoch, self.times)
            .await
            .map_err(failed)
    }

    async fn retire(&self, epoch: i64) -> Result<(), LedgerError> {
        let retired = self.reserved.cache_retire(epoch).await;
        retired.map(|_| ()).map_err(failed)
    }

    async fn close(&self, at_least: i64) -> Result<(), LedgerError> {
        let closed = self.reserved.cache_close(at_least, self.times).await;
        closed.map(|_| ()).map_err(failed)
    }

    async fn add(&self, keys: &[Key], token: Token) -> Result<(), LedgerError> {
        self.database
            .cache_add_pending(&pending_keys(keys, token))
            .await
            .map_err(failed)
    }

    async fn served_for(&self) -> Result<Serving, LedgerError> {
        let serving = self.database.cache_served_for(self.times).await;
        let CacheServingTime { left, clock } = serving.map_err(failed)?;
        Ok(Serving { left, clock })
    }

    async fn waits(&self, token: Token) -> Result<bool, LedgerError> {
        self.database
            .cache_token_waits(&token.to_string())
            .await
            .map_err(failed)
    }
}

/// Keys in the form in which the database stores them.
pub(crate) fn pending_keys(keys: &[Key], token: Token) -> PendingKeys {
    PendingKeys {
        keys: keys.iter().map(Key::to_string).collect(),
        token: token.to_string(),
    }
}

/// Parses a pending row; `None` for a key of a later version, which this version cannot be serving.
fn pending(row: &PendingKey) -> Option<Pending> {
    let PendingKey { id, key, token } = row;
    let Some(key) = Key::parse(key) else {
        tracing::debug!(%key, "a pending key is unknown to this version");
        return None;
    };
    // A release drops the value whatever its token; a fence with an unreadable token expires.
    let token = u128::from_str_radix(token, 16).unwrap_or_default();
    Some(Pending {
        id: *id,
        key,
        token: Token(token),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: StorageError) -> LedgerError {
    LedgerError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::keys;
    use parlance_domain::MessageId;

    #[test]
    fn a_pending_key_is_read_back() {
        let key = keys::message(MessageId::from_uuid(Uuid::from_u128(7)));
        let token = Token(u128::MAX - 5);
        let PendingKeys { keys, token: text } = pending_keys(&[key], token);
        let row = PendingKey {
            id: 3,
            key: keys[0].clone(),
            token: text,
        };
        assert_eq!(pending(&row), Some(Pending { id: 3, key, token }));
    }

    #[test]
    fn foreign_rows_do_not_panic() {
        let row = |key: &str, token: &str| PendingKey {
            id: 1,
            key: key.to_owned(),
            token: token.to_owned(),
        };
        assert_eq!(pending(&row("thing:1", "0")), None);
        let key = keys::message(MessageId::from_uuid(Uuid::nil())).to_string();
        for bad in ["", "x", "+-", "fffffffffffffffffffffffffffffffff"] {
            let found = pending(&row(&key, bad));
            assert_eq!(found.map(|row| row.token), Some(Token(0)), "{bad}");
        }
    }
}
