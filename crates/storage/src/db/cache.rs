//! What the instances tell one another for the cache: who lives and until when they serve, which processes hold the values, and
//! which keys wait to be released.
//!
//! The database's clock decides everything. A renewal keeps the epoch's row as it is until it has committed, and whoever records
//! another epoch locks the row before it reads the clock: so whatever is served under the old one ends within
//! [`CacheTimes::serve`] of the record, and nothing is served under the new one before.

use std::time::Duration;

use uuid::Uuid;

use crate::conn::{Database, Lease};
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::rows::cache::{NewPendingRow, RenewalRow, RenewedRow, ServedRow};
use crate::tx::PendingKeys;

/// How many retired rows go with one renewal: few enough that it stays quick.
const FORGET: i64 = 1000;
/// An epoch is left to whoever recorded it for so many times as long as an instance may serve: nobody serves under it before it is
/// once as old, and whoever is busy renews late. Were it closed before, it would be recorded again, and closed again.
const LEFT_ALONE: i64 = 10;
/// How many rows one statement deletes.
const CHUNK: usize = 1000;

/// How long things hold, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheTimes {
    /// How long an instance may serve after it has renewed; until an epoch is that old, nobody serves under it.
    pub serve: Duration,
    /// How long an instance that has told of itself counts as alive.
    pub alive: Duration,
    /// After which silence an instance is forgotten.
    pub remove_after: Duration,
}

/// Where an instance keeps values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTier {
    /// Nowhere.
    None,
    /// In its own memory.
    Memory,
    /// Where other instances read them, too.
    Shared,
}

/// What an instance learns of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRegistration {
    /// Others that live.
    pub others: u64,
    /// For as long as an instance may serve, nobody has held values; whoever wants to must be recorded first.
    pub free: bool,
    /// How long another instance that keeps values in its own memory may still serve.
    pub memory_serves: Duration,
    /// The database's clock, since 1970.
    pub clock: Duration,
}

/// How long instances may still serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheServingTime {
    /// The longest.
    pub left: Duration,
    /// The database's clock, since 1970.
    pub clock: Duration,
}

/// What came of renewing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheRenewal {
    /// It is renewed under this epoch.
    Renewed {
        /// Its number.
        epoch: i64,
    },
    /// Somebody else was recorded; now it is whoever answers, under the next number.
    Recorded,
    /// The epoch is too young, or was recorded just now by another instance.
    TooYoung,
}

/// Which database answers, and what it has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheDatabaseState {
    /// The installation.
    pub installation: Uuid,
    /// The identity of the database.
    pub database: String,
    /// The same, and when the server was started.
    pub server: String,
    /// Whether deliveries may be claimed on this server.
    pub is_accepted: bool,
    /// Whether an instance lives that uses a shared tier.
    pub is_shared: bool,
    /// The number of the epoch.
    pub epoch: i64,
}

/// A key that waits to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKey {
    /// Its row.
    pub id: i64,
    /// The key.
    pub key: String,
    /// Whose write it was.
    pub token: String,
}

impl Database {
    /// Registers an instance with the place where it keeps values, and reads the others. Three statements, so that a distant database
    /// answers them in time.
    pub async fn cache_register(
        &self,
        instance: Uuid,
        tier: CacheTier,
        times: CacheTimes,
    ) -> StorageResult<CacheRegistration> {
        let (id, alive, silent) = (
            Id(instance),
            micros(times.alive),
            micros(times.remove_after),
        );
        if self.has_one_writer() {
            let mut lease = self.writer().await?;
            on!(lease, |c, q| q::cache::register(c, id, tier, alive))?;
            lease.commit().await?;
        } else {
            // One statement, which is a transaction by itself and can be repeated.
            read!(self, |c, q| q::cache::register(c, id, tier, alive))?;
        }
        // Only now: of two that come at once, at least one must see the other.
        let others = read!(self, |c, q| q::cache::others(c, id, silent))?;
        let wait = micros(times.serve);
        let free = read!(self, |c, q| q::cache::is_free(c, wait))?;
        if others.silent.unwrap_or_default() > 0 {
            let mut lease = self.writer().await?;
            on!(lease, |c, q| q::cache::forget_instances(c, silent))?;
            lease.commit().await?;
        }
        Ok(CacheRegistration {
            others: others
                .living
                .and_then(|living| u64::try_from(living).ok())
                .unwrap_or_default(),
            free,
            clock: since_1970(others.memory.now),
            memory_serves: served_for(others.memory, times),
        })
    }

    /// Renews what an instance may serve if the recorded one answers and its epoch is in force; with another one recorded, this
    /// one is recorded under the next number.
    pub async fn cache_renew(
        &self,
        instance: Uuid,
        answering: &str,
        times: CacheTimes,
    ) -> StorageResult<CacheRenewal> {
        let renewal = RenewalRow {
            id: Id(instance),
            remote: answering.to_owned(),
            alive: micros(times.alive),
            serve: micros(times.serve),
            forget: FORGET,
        };
        let RenewedRow {
            number,
            remote,
            known,
            renewed,
        } = self.renewed(&renewal).await?;
        if renewed {
            return Ok(CacheRenewal::Renewed { epoch: number });
        }
        if remote == answering && known {
            return Ok(CacheRenewal::TooYoung);
        }
        let mut lease = self.writer().await?;
        if on!(lease, |c, q| q::cache::lock_epoch(c, number))?.is_none() {
            lease.rollback().await?;
            return Ok(CacheRenewal::TooYoung);
        }
        on!(lease, |c, q| q::cache::record(c, number, answering))?;
        lease.commit().await?;
        Ok(CacheRenewal::Recorded)
    }

    async fn renewed(&self, renewal: &RenewalRow) -> StorageResult<RenewedRow> {
        if self.has_one_writer() {
            let mut lease = self.writer().await?;
            let renewed = on_backend!(lease, renew_cache(renewal))?;
            lease.commit().await?;
            Ok(renewed)
        } else {
            // One statement, which is a transaction by itself and can be repeated.
            read!(self, renew_cache(renewal))
        }
    }

    /// Which database answers, and what it has recorded.
    pub async fn cache_database_state(&self) -> StorageResult<CacheDatabaseState> {
        let standing = read!(self, |c, q| q::installation::standing(c))?;
        Ok(CacheDatabaseState {
            installation: standing.installation.0,
            database: standing.database,
            server: standing.server,
            is_accepted: standing.is_accepted,
            is_shared: standing.is_shared,
            epoch: standing.epoch.unwrap_or_default(),
        })
    }

    /// Lets deliveries be claimed on this server, if its database is the recorded one; whether it is.
    pub async fn cache_accept(&self, server: &str) -> StorageResult<bool> {
        let mut lease = self.writer().await?;
        let is_accepted = on!(lease, |c, q| q::installation::accept(c, server))?;
        lease.commit().await?;
        Ok(is_accepted)
    }

    /// Counts a reconciliation pass, if there have been as many as are known; how many there have been by now.
    pub async fn cache_count(&self, known: i64) -> StorageResult<Option<i64>> {
        if self.has_one_writer() {
            let mut lease = self.writer().await?;
            let number = on!(lease, |c, q| q::installation::count_reconciliation(
                c, known
            ))?;
            lease.commit().await?;
            Ok(number)
        } else {
            // One statement, which is a transaction by itself: an instance that stops in the middle holds no lock.
            read!(self, |c, q| q::installation::count_reconciliation(c, known))
        }
    }

    /// Records the next epoch, if the number still is this one; whether it did.
    pub async fn cache_begin(&self, number: i64, remote: &str) -> StorageResult<bool> {
        let mut lease = self.writer().await?;
        if on!(lease, |c, q| q::cache::lock_epoch(c, number))?.is_none() {
            lease.rollback().await?;
            return Ok(false);
        }
        on!(lease, |c, q| q::cache::record(c, number, remote))?;
        lease.commit().await?;
        Ok(true)
    }

    /// Renews what an instance may serve from its own memory.
    pub async fn cache_renew_memory(&self, instance: Uuid, times: CacheTimes) -> StorageResult<()> {
        let (id, alive, serve) = (Id(instance), micros(times.alive), micros(times.serve));
        let mut lease = self.writer().await?;
        on!(lease, |c, q| q::cache::renew(c, id, true, alive, serve))?;
        lease.commit().await
    }

    /// The keys that wait, oldest first; also those whose epoch has ended, for whoever serves under none.
    pub async fn cache_pending(
        &self,
        retired_too: bool,
        limit: i64,
    ) -> StorageResult<Vec<PendingKey>> {
        let rows = read!(self, |c, q| q::cache::pending(c, retired_too, limit))?;
        let row = |(id, key, token)| PendingKey { id, key, token };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Deletes exactly these rows, if the epoch still is this one and in force, or if none is named and none can be served under;
    /// whether it did. Under an epoch that is only paused the rows are still needed.
    pub async fn cache_settle(
        &self,
        rows: &[i64],
        epoch: Option<i64>,
        times: CacheTimes,
    ) -> StorageResult<bool> {
        let mut lease = self.writer().await?;
        let wait = micros(times.serve);
        let may = match epoch {
            Some(epoch) => {
                on!(lease, |c, q| q::cache::epoch_in_force(c, wait))? == Some((epoch, true))
            }
            None => on!(lease, |c, q| q::cache::is_free(c, wait))?,
        };
        if !may {
            lease.rollback().await?;
            return Ok(false);
        }
        for chunk in rows.chunks(CHUNK) {
            on!(lease, |c, q| q::cache::delete_pending(c, chunk.to_vec()))?;
        }
        lease.commit().await?;
        Ok(true)
    }

    /// Ends an epoch, if it still is the recorded one: the same process is recorded under the next number, and what waits now
    /// needs no release any more; whether it did.
    pub async fn cache_retire(&self, epoch: i64) -> StorageResult<bool> {
        let mut lease = self.writer().await?;
        let Some(remote) = on!(lease, |c, q| q::cache::lock_epoch(c, epoch))? else {
            lease.rollback().await?;
            return Ok(false);
        };
        end_epoch(lease, epoch, &remote).await
    }

    /// Ends the epoch and records that nobody holds values, if no instance may serve under it any more, somebody is recorded and
    /// has had the time to serve, and that many rows wait; whether it did.
    pub async fn cache_close(&self, at_least: i64, times: CacheTimes) -> StorageResult<bool> {
        let (epoch, remote, known) = read!(self, |c, q| q::cache::epoch(c))?;
        if remote.is_empty() && known {
            self.forget_pending(epoch, times).await?;
            return Ok(false);
        }
        if !remote.is_empty() && !read!(self, |c, q| q::cache::as_many_wait(c, at_least))? {
            return Ok(false);
        }
        let mut lease = self.writer().await?;
        let locked = on!(lease, |c, q| q::cache::lock_epoch(c, epoch))?;
        // After the lock: whoever was renewing under the epoch has committed.
        let until = on!(lease, |c, q| q::cache::shared_served_until(c))?;
        let age = micros(times.serve).saturating_mul(LEFT_ALONE);
        let old = on!(lease, |c, q| q::cache::epoch_in_force(c, age))?;
        let is_over = old.is_some_and(|(old, _)| old == epoch) && remaining(until).is_zero();
        // Of nobody already: it is recorded by whom.
        if locked.is_none() || !(remote.is_empty() || is_over) {
            lease.rollback().await?;
            return Ok(false);
        }
        end_epoch(lease, epoch, "").await
    }

    /// Under an epoch of nobody, and with nobody who serves, no value is good whose key waits: whoever serves next begins with none.
    async fn forget_pending(&self, epoch: i64, times: CacheTimes) -> StorageResult<()> {
        if !read!(self, |c, q| q::cache::as_many_wait(c, 1))? {
            return Ok(());
        }
        let mut lease = self.writer().await?;
        let locked = on!(lease, |c, q| q::cache::lock_epoch(c, epoch))?;
        let served = on!(lease, |c, q| q::cache::served(c))?;
        if locked.is_some() && served_for(served, times).is_zero() {
            on!(lease, |c, q| q::cache::forget_pending(c))?;
        }
        lease.commit().await
    }

    /// How many rows wait.
    pub async fn cache_waiting(&self) -> StorageResult<i64> {
        read!(self, |c, q| q::cache::waiting(c))
    }

    /// Adds keys after the fact.
    pub async fn cache_add_pending(&self, pending: &PendingKeys) -> StorageResult<()> {
        let mut lease = self.writer().await?;
        add_pending(&mut lease, pending).await?;
        lease.commit().await
    }

    /// How long any instance may still serve.
    pub async fn cache_served_for(&self, times: CacheTimes) -> StorageResult<CacheServingTime> {
        let served = read!(self, |c, q| q::cache::served(c))?;
        Ok(CacheServingTime {
            clock: since_1970(served.now),
            left: served_for(served, times),
        })
    }

    /// Whether keys of this write wait.
    pub async fn cache_token_waits(&self, token: &str) -> StorageResult<bool> {
        read!(self, |c, q| q::cache::token_waits(c, token))
    }
}

/// Within a transaction that holds the epoch. The rows stay until the next one is in force: until then somebody may serve under
/// this one, and their writers wait for it.
async fn end_epoch(mut lease: Lease, epoch: i64, next: &str) -> StorageResult<bool> {
    on!(lease, |c, q| q::cache::retire_pending(c))?;
    if !on!(lease, |c, q| q::cache::record(c, epoch, next))? {
        return Err(StorageError::Conflict("the epoch moved on".to_owned()));
    }
    lease.commit().await?;
    Ok(true)
}

pub(crate) async fn add_pending(lease: &mut Lease, pending: &PendingKeys) -> StorageResult<()> {
    let PendingKeys { keys, token } = pending;
    let row = |key: &String| NewPendingRow {
        cache_key: key.clone(),
        token: token.clone(),
        retired: false,
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    for chunk in rows.chunks(CHUNK) {
        on_backend!(*lease, add_pending(chunk))?;
    }
    Ok(())
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn since_1970(now: Instant) -> Duration {
    Duration::from_micros(u64::try_from(now.0).unwrap_or(0))
}

/// How long instances may still serve. Their renewals may be missing where another server has recorded the epoch, or this one has
/// recorded it only now: a copy that was promoted may have lost the last ones.
fn served_for(served: ServedRow, times: CacheTimes) -> Duration {
    let ServedRow {
        until,
        now,
        recorded_at,
        known,
    } = served;
    if !known {
        return times.serve;
    }
    let recorded = Instant(recorded_at.0.saturating_add(micros(times.serve)));
    remaining((until.max(Some(recorded)), now))
}

/// What is left until then; nothing if it is over, or never was.
fn remaining((until, now): (Option<Instant>, Instant)) -> Duration {
    let micros = until.map_or(0, |until| until.0.saturating_sub(now.0));
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
