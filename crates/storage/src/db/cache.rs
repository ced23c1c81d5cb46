//! Coordination of the cache among instances: which instances are alive and until when they may serve, which Redis
//! process has the values, and which keys wait to be released.
//!
//! The database's clock decides everything. A renewal locks the epoch's row in shared mode until it has committed, and
//! an instance that records another epoch locks the row before it reads the clock. So no value is served under the old
//! epoch later than [`CacheTimes::serve`] after the record, and none under the new epoch before.

use std::time::Duration;

use uuid::Uuid;

pub use crate::model::cache::{
    CacheDatabaseState, CacheRegistration, CacheRenewal, CacheServingTime, CacheTier, CacheTimes,
    PendingKey,
};

use crate::conn::{Database, PooledConnection};
use crate::db::tx::add_pending;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::model::cache::PendingKeys;
use crate::rows::cache::{RenewalRow, RenewedRow, ServedRow};

/// Maximum number of retired rows removed with one renewal: few enough that it stays quick.
const RETIRED_PER_RENEWAL: i64 = 1000;
/// Minimum age at which an epoch may be closed, in multiples of [`CacheTimes::serve`]. No instance serves under an
/// epoch before it is one multiple old, and a busy instance renews late. Closed earlier, it would be recorded again,
/// and closed again.
const MIN_CLOSE_AGE: i64 = 10;
/// How many rows one statement deletes.
const CHUNK: usize = 1000;

impl Database {
    /// Registers an instance with its tier, and reads the others. Three statements, so that a distant database answers
    /// them in time.
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
            let mut connection = self.writer().await?;
            on!(connection, |c, q| q::cache::register(c, id, tier, alive))?;
            connection.commit().await?;
        } else {
            // One statement, which is a transaction by itself and can be repeated.
            read!(self, |c, q| q::cache::register(c, id, tier, alive))?;
        }
        // After the registration: of two instances that start at once, at least one must see the other.
        let others = read!(self, |c, q| q::cache::others(c, id, silent))?;
        let wait = micros(times.serve);
        let free = read!(self, |c, q| q::cache::is_free(c, wait))?;
        if others.silent.unwrap_or_default() > 0 {
            let mut connection = self.writer().await?;
            on!(connection, |c, q| q::cache::delete_silent_instances(
                c, silent
            ))?;
            connection.commit().await?;
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

    /// Renews the right of an instance to serve, if the recorded Redis process is the one that answers and its epoch is
    /// in force. If another process is recorded, this one is recorded under the next number.
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
            retired_limit: RETIRED_PER_RENEWAL,
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
        let mut connection = self.writer().await?;
        if on!(connection, |c, q| q::cache::lock_epoch(c, number))?.is_none() {
            connection.rollback().await?;
            return Ok(CacheRenewal::TooYoung);
        }
        on!(connection, |c, q| q::cache::record(c, number, answering))?;
        connection.commit().await?;
        Ok(CacheRenewal::Recorded)
    }

    async fn renewed(&self, renewal: &RenewalRow) -> StorageResult<RenewedRow> {
        if self.has_one_writer() {
            let mut connection = self.writer().await?;
            let renewed = on_backend!(connection, renew_cache(renewal))?;
            connection.commit().await?;
            Ok(renewed)
        } else {
            // One statement, which is a transaction by itself and can be repeated.
            read!(self, renew_cache(renewal))
        }
    }

    /// Returns which database answers, and what it has recorded.
    pub async fn cache_database_state(&self) -> StorageResult<CacheDatabaseState> {
        let state = read!(self, |c, q| q::installation::database_state(c))?;
        Ok(CacheDatabaseState {
            installation: state.installation.0,
            database: state.database,
            server: state.server,
            is_accepted: state.is_accepted,
            is_shared: state.is_shared,
            epoch: state.epoch.unwrap_or_default(),
        })
    }

    /// Allows deliveries to be claimed on this server, if its database is the recorded one; returns whether it is.
    pub async fn cache_accept(&self, server: &str) -> StorageResult<bool> {
        let mut connection = self.writer().await?;
        let is_accepted = on!(connection, |c, q| q::installation::accept(c, server))?;
        connection.commit().await?;
        Ok(is_accepted)
    }

    /// Counts a reconciliation pass, if the database knows of at least `known` passes; returns the new count.
    pub async fn cache_count(&self, known: i64) -> StorageResult<Option<i64>> {
        if self.has_one_writer() {
            let mut connection = self.writer().await?;
            let number = on!(connection, |c, q| q::installation::count_reconciliation(
                c, known
            ))?;
            connection.commit().await?;
            Ok(number)
        } else {
            // One statement, which is a transaction by itself: an instance that stops in the middle holds no lock.
            read!(self, |c, q| q::installation::count_reconciliation(c, known))
        }
    }

    /// Records the next epoch, if the current one still has this number; returns whether it did.
    pub async fn cache_begin(&self, number: i64, remote: &str) -> StorageResult<bool> {
        let mut connection = self.writer().await?;
        if on!(connection, |c, q| q::cache::lock_epoch(c, number))?.is_none() {
            connection.rollback().await?;
            return Ok(false);
        }
        on!(connection, |c, q| q::cache::record(c, number, remote))?;
        connection.commit().await?;
        Ok(true)
    }

    /// Renews the right of an instance to serve from its own memory.
    pub async fn cache_renew_memory(&self, instance: Uuid, times: CacheTimes) -> StorageResult<()> {
        let (id, alive, serve) = (Id(instance), micros(times.alive), micros(times.serve));
        let mut connection = self.writer().await?;
        on!(connection, |c, q| q::cache::renew(
            c, id, true, alive, serve
        ))?;
        connection.commit().await
    }

    /// Returns the keys that wait, oldest first. With `retired_too` also those of ended epochs, for an instance that
    /// serves under no epoch.
    pub async fn cache_pending(
        &self,
        retired_too: bool,
        limit: i64,
    ) -> StorageResult<Vec<PendingKey>> {
        let rows = read!(self, |c, q| q::cache::pending(c, retired_too, limit))?;
        let row = |(id, key, token)| PendingKey { id, key, token };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Deletes exactly these rows, if the given epoch is still current and in force, or, without one, if no instance
    /// can serve under any; returns whether it did. Under an epoch that is only paused the rows are still needed.
    pub async fn cache_settle(
        &self,
        rows: &[i64],
        epoch: Option<i64>,
        times: CacheTimes,
    ) -> StorageResult<bool> {
        let mut connection = self.writer().await?;
        let wait = micros(times.serve);
        let may = match epoch {
            Some(epoch) => {
                on!(connection, |c, q| q::cache::epoch_in_force(c, wait))? == Some((epoch, true))
            }
            None => on!(connection, |c, q| q::cache::is_free(c, wait))?,
        };
        if !may {
            connection.rollback().await?;
            return Ok(false);
        }
        for chunk in rows.chunks(CHUNK) {
            on!(connection, |c, q| q::cache::delete_pending(
                c,
                chunk.to_vec()
            ))?;
        }
        connection.commit().await?;
        Ok(true)
    }

    /// Ends an epoch, if it is still the recorded one: the same process is recorded under the next number, and the
    /// waiting keys need no release any more. Returns whether it did.
    pub async fn cache_retire(&self, epoch: i64) -> StorageResult<bool> {
        let mut connection = self.writer().await?;
        let Some(remote) = on!(connection, |c, q| q::cache::lock_epoch(c, epoch))? else {
            connection.rollback().await?;
            return Ok(false);
        };
        end_epoch(connection, epoch, &remote).await
    }

    /// Ends the epoch and records that no process has values. Conditions: no instance may serve under it any more, a
    /// process is recorded and is old enough, and at least `at_least` rows wait. Returns whether it did.
    pub async fn cache_close(&self, at_least: i64, times: CacheTimes) -> StorageResult<bool> {
        let (epoch, remote, known) = read!(self, |c, q| q::cache::epoch(c))?;
        if remote.is_empty() && known {
            self.delete_unserved_pending(epoch, times).await?;
            return Ok(false);
        }
        if !remote.is_empty() && !read!(self, |c, q| q::cache::as_many_wait(c, at_least))? {
            return Ok(false);
        }
        let mut connection = self.writer().await?;
        let locked = on!(connection, |c, q| q::cache::lock_epoch(c, epoch))?;
        // After the lock: every instance that was renewing under the epoch has committed.
        let until = on!(connection, |c, q| q::cache::shared_served_until(c))?;
        let age = micros(times.serve).saturating_mul(MIN_CLOSE_AGE);
        let old = on!(connection, |c, q| q::cache::epoch_in_force(c, age))?;
        let is_over = old.is_some_and(|(old, _)| old == epoch) && remaining(until).is_zero();
        // An empty epoch already: only the server that recorded it changes.
        if locked.is_none() || !(remote.is_empty() || is_over) {
            connection.rollback().await?;
            return Ok(false);
        }
        end_epoch(connection, epoch, "").await
    }

    /// Deletes the waiting keys under an empty epoch, if no instance serves: the next instance that serves starts
    /// without values.
    async fn delete_unserved_pending(&self, epoch: i64, times: CacheTimes) -> StorageResult<()> {
        if !read!(self, |c, q| q::cache::as_many_wait(c, 1))? {
            return Ok(());
        }
        let mut connection = self.writer().await?;
        let locked = on!(connection, |c, q| q::cache::lock_epoch(c, epoch))?;
        let served = on!(connection, |c, q| q::cache::served(c))?;
        if locked.is_some() && served_for(served, times).is_zero() {
            on!(connection, |c, q| q::cache::delete_all_pending(c))?;
        }
        connection.commit().await
    }

    /// Returns how many rows wait.
    pub async fn cache_waiting(&self) -> StorageResult<i64> {
        read!(self, |c, q| q::cache::waiting(c))
    }

    /// Adds waiting keys after the write itself.
    pub async fn cache_add_pending(&self, pending: &PendingKeys) -> StorageResult<()> {
        let mut connection = self.writer().await?;
        add_pending(&mut connection, pending).await?;
        connection.commit().await
    }

    /// Returns how long any instance may still serve.
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

/// Ends an epoch within a transaction that has locked it. The rows stay until the next epoch is in force: until then an
/// instance may serve under this one, and the writers of the keys wait for it.
async fn end_epoch(
    mut connection: PooledConnection,
    epoch: i64,
    next: &str,
) -> StorageResult<bool> {
    on!(connection, |c, q| q::cache::retire_pending(c))?;
    if !on!(connection, |c, q| q::cache::record(c, epoch, next))? {
        return Err(StorageError::Conflict(
            "the cache epoch has changed".to_owned(),
        ));
    }
    connection.commit().await?;
    Ok(true)
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn since_1970(now: Instant) -> Duration {
    Duration::from_micros(u64::try_from(now.0).unwrap_or(0))
}

/// Returns how long instances may still serve. Renewals may be missing if the epoch was recorded on another server, or
/// on this one only just now: a promoted copy may have lost the last ones.
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

/// Returns the time left until then; zero if it has passed, or never was set.
fn remaining((until, now): (Option<Instant>, Instant)) -> Duration {
    let micros = until.map_or(0, |until| until.0.saturating_sub(now.0));
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
