//! Coordination of the cache among instances, of the whole installation. Every time is the database's own clock;
//! durations are in microseconds.

use diesel::dsl::{max, not};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::fragments::prepared::prepared;
use crate::model::cache::CacheTier;
use crate::rows::cache::{OthersRow, ServedRow};
use crate::schema::{cache_epoch, cache_instances, cache_pending};

/// The columns of a [`ServedRow`].
macro_rules! served {
    ($until:expr) => {
        (
            $until,
            from_now!(0),
            cache_epoch::recorded_at,
            cache_epoch::database.eq(server!()),
        )
    };
}

/// Instances that have not registered for that long.
macro_rules! silent {
    ($micros:expr) => {
        cache_instances::table
            .filter(cache_instances::alive_until.lt(from_now!(-$micros)))
            .filter(cache_instances::serves_until.lt(from_now!(-$micros)))
    };
}

/// Reads about the other instances: how many are alive, how many have been silent for that long, and until when one
/// that caches in its own memory may serve.
pub(crate) async fn others(c: &mut Conn, id: Id, silent: i64) -> QueryResult<OthersRow> {
    let living = cache_instances::table
        .filter(cache_instances::id.ne(id))
        .filter(cache_instances::alive_until.gt(from_now!(0)))
        .count()
        .single_value();
    let silent = silent!(silent).count().single_value();
    let until = cache_instances::table
        .filter(cache_instances::memory)
        .filter(cache_instances::id.ne(id))
        .select(max(cache_instances::serves_until))
        .single_value();
    prepared(cache_epoch::table.select((living, silent, served!(until))))
        .get_result(c)
        .await
}

/// Reads until when any instance may serve what it shares with others, and the current time.
pub(crate) async fn shared_served_until(c: &mut Conn) -> QueryResult<(Option<Instant>, Instant)> {
    let until = cache_instances::table
        .filter(not(cache_instances::memory))
        .select((max(cache_instances::serves_until), from_now!(0)));
    prepared(until).get_result(c).await
}

/// Reads until when any instance may serve.
pub(crate) async fn served(c: &mut Conn) -> QueryResult<ServedRow> {
    let until = cache_instances::table
        .select(max(cache_instances::serves_until))
        .single_value();
    prepared(cache_epoch::table.select(served!(until)))
        .get_result(c)
        .await
}

/// Reads the epoch, the Redis process that has its values (empty for none), and whether it was recorded on the server
/// that answers.
pub(crate) async fn epoch(c: &mut Conn) -> QueryResult<(i64, String, bool)> {
    let columns = (
        cache_epoch::number,
        cache_epoch::remote,
        cache_epoch::database.eq(server!()),
    );
    prepared(cache_epoch::table.select(columns))
        .get_result(c)
        .await
}

/// Reads the epoch that is in force, if it was recorded that long ago, and whether it was recorded on the server that
/// answers. No other is recorded until the end of the transaction.
pub(crate) async fn epoch_in_force(c: &mut Conn, wait: i64) -> QueryResult<Option<(i64, bool)>> {
    let epoch = shared!(
        cache_epoch::table
            .filter(cache_epoch::recorded_at.le(from_now!(-wait)))
            .select((cache_epoch::number, cache_epoch::database.eq(server!())))
    );
    prepared(epoch).get_result(c).await.optional()
}

/// Whether no process has been recorded as the holder of values for that long. Waits for one that is being recorded:
/// its time is earlier than its commit.
pub(crate) async fn is_free(c: &mut Conn, wait: i64) -> QueryResult<bool> {
    let free = shared!(
        cache_epoch::table
            .filter(cache_epoch::remote.eq(""))
            .filter(cache_epoch::database.eq(server!()))
            .filter(cache_epoch::recorded_at.le(from_now!(-wait)))
            .select(cache_epoch::number)
    );
    let free: Option<i64> = prepared(free).get_result(c).await.optional()?;
    Ok(free.is_some())
}

/// Locks the epoch if it still has this number, once all renewals under it have committed.
pub(crate) async fn lock_epoch(c: &mut Conn, number: i64) -> QueryResult<Option<String>> {
    locked!(
        cache_epoch::table
            .filter(cache_epoch::number.eq(number))
            .select(cache_epoch::remote)
    )
    .get_result(c)
    .await
    .optional()
}

/// Reads the waiting rows, oldest first; with `retired_too` also those of ended epochs.
pub(crate) async fn pending(
    c: &mut Conn,
    retired_too: bool,
    limit: i64,
) -> QueryResult<Vec<(i64, String, String)>> {
    let columns = (
        cache_pending::id,
        cache_pending::cache_key,
        cache_pending::token,
    );
    let oldest = cache_pending::table
        .order(cache_pending::id)
        .limit(limit)
        .select(columns);
    if retired_too {
        oldest.load(c).await
    } else {
        oldest.filter(not(cache_pending::retired)).load(c).await
    }
}

/// Counts the waiting rows.
pub(crate) async fn waiting(c: &mut Conn) -> QueryResult<i64> {
    let waiting = cache_pending::table.filter(not(cache_pending::retired));
    waiting.count().get_result(c).await
}

/// Whether at least that many rows wait.
pub(crate) async fn as_many_wait(c: &mut Conn, at_least: i64) -> QueryResult<bool> {
    if at_least <= 0 {
        return Ok(true);
    }
    let last: Option<i64> = cache_pending::table
        .filter(not(cache_pending::retired))
        .order(cache_pending::id)
        .offset(at_least.saturating_sub(1))
        .limit(1)
        .select(cache_pending::id)
        .get_result(c)
        .await
        .optional()?;
    Ok(last.is_some())
}

/// Whether rows of this token wait, of any epoch.
pub(crate) async fn token_waits(c: &mut Conn, token: &str) -> QueryResult<bool> {
    let rows = cache_pending::table.filter(cache_pending::token.eq(token));
    diesel::select(diesel::dsl::exists(rows))
        .get_result(c)
        .await
}

/// Registers an instance as alive, with its tier.
pub(crate) async fn register(c: &mut Conn, id: Id, tier: CacheTier, alive: i64) -> QueryResult<()> {
    let row = (
        cache_instances::id.eq(id),
        cache_instances::memory.eq(tier == CacheTier::Memory),
        cache_instances::shared.eq(tier == CacheTier::Shared),
        cache_instances::alive_until.eq(from_now!(alive)),
        cache_instances::serves_until.eq(from_now!(0)),
    );
    let upsert = diesel::insert_into(cache_instances::table)
        .values(row)
        .on_conflict(cache_instances::id)
        .do_update()
        .set((
            cache_instances::memory.eq(excluded(cache_instances::memory)),
            cache_instances::shared.eq(excluded(cache_instances::shared)),
            cache_instances::alive_until.eq(excluded(cache_instances::alive_until)),
        ));
    prepared(upsert).execute(c).await.map(|_| ())
}

/// Allows an instance to serve for that long.
pub(crate) async fn renew(
    c: &mut Conn,
    id: Id,
    memory: bool,
    alive: i64,
    serve: i64,
) -> QueryResult<()> {
    let row = (
        cache_instances::id.eq(id),
        cache_instances::memory.eq(memory),
        cache_instances::alive_until.eq(from_now!(alive)),
        cache_instances::serves_until.eq(from_now!(serve)),
    );
    let upsert = diesel::insert_into(cache_instances::table)
        .values(row)
        .on_conflict(cache_instances::id)
        .do_update()
        .set((
            cache_instances::alive_until.eq(excluded(cache_instances::alive_until)),
            cache_instances::serves_until.eq(excluded(cache_instances::serves_until)),
        ));
    prepared(upsert).execute(c).await.map(|_| ())
}

/// Removes instances that have not registered for that long; skips those that another transaction is removing.
pub(crate) async fn delete_silent_instances(c: &mut Conn, silent: i64) -> QueryResult<()> {
    let dead: Vec<Id> = prepared(skipping_locked!(
        silent!(silent).select(cache_instances::id)
    ))
    .load(c)
    .await?;
    if dead.is_empty() {
        return Ok(());
    }
    diesel::delete(cache_instances::table.filter(cache_instances::id.eq_any(dead)))
        .execute(c)
        .await
        .map(|_| ())
}

/// Records which process has the values from now on, under the next number, if the epoch still has the number that was
/// read.
pub(crate) async fn record(c: &mut Conn, number: i64, remote: &str) -> QueryResult<bool> {
    let target = cache_epoch::table.filter(cache_epoch::number.eq(number));
    let set = (
        cache_epoch::number.eq(next_epoch!()),
        cache_epoch::remote.eq(remote),
        cache_epoch::database.eq(server!()),
        cache_epoch::recorded_at.eq(from_now!(0)),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// Marks the waiting rows as belonging to an ended epoch.
pub(crate) async fn retire_pending(c: &mut Conn) -> QueryResult<()> {
    let waiting = cache_pending::table.filter(not(cache_pending::retired));
    prepared(diesel::update(waiting).set(cache_pending::retired.eq(true)))
        .execute(c)
        .await
        .map(|_| ())
}

/// Deletes all waiting rows.
pub(crate) async fn delete_all_pending(c: &mut Conn) -> QueryResult<()> {
    diesel::delete(cache_pending::table)
        .execute(c)
        .await
        .map(|_| ())
}

/// Deletes exactly these rows.
pub(crate) async fn delete_pending(c: &mut Conn, rows: Vec<i64>) -> QueryResult<()> {
    diesel::delete(cache_pending::table.filter(cache_pending::id.eq_any(rows)))
        .execute(c)
        .await
        .map(|_| ())
}
