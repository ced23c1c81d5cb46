//! Holds and releases of deliveries. A hold takes no longer for a million of them than for one: it begins a new
//! generation, and only the current one is claimed. A release moves the older ones to the current generation, a few at
//! a time.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::fragments::prepared::prepared;
use crate::schema::{deliveries, installation};

/// Reads the generation below which deliveries are released, and the current one: those in between are held.
pub(crate) async fn held_range(c: &mut Conn) -> QueryResult<(i64, i64)> {
    installation::table
        .select((installation::released, installation::generation))
        .get_result(c)
        .await
}

/// Counts the deliveries of these generations.
pub(crate) async fn count(c: &mut Conn, (from, below): (i64, i64)) -> QueryResult<i64> {
    deliveries::table
        .filter(deliveries::generation.ge(from))
        .filter(deliveries::generation.lt(below))
        .count()
        .get_result(c)
        .await
}

/// Holds every delivery, including those that an earlier release has not moved yet.
pub(crate) async fn hold(c: &mut Conn) -> QueryResult<()> {
    let set = (
        installation::generation.eq(installation::generation + 1),
        installation::released.eq(0),
    );
    prepared(diesel::update(installation::table).set(set))
        .execute(c)
        .await
        .map(|_| ())
}

/// Releases every held delivery.
pub(crate) async fn release(c: &mut Conn) -> QueryResult<()> {
    let all = installation::released.eq(installation::generation);
    prepared(diesel::update(installation::table).set(all))
        .execute(c)
        .await
        .map(|_| ())
}

/// Reads conversations with deliveries that are released and not moved yet. Every queue has one delivery that is not
/// blocked.
pub(crate) async fn unmoved(c: &mut Conn, limit: i64) -> QueryResult<Vec<(String, Id)>> {
    let released = installation::table
        .select(installation::released)
        .single_value()
        .assume_not_null();
    deliveries::table
        .filter(diesel::dsl::not(deliveries::blocked))
        .filter(deliveries::generation.lt(released))
        .order((deliveries::generation, deliveries::due_at))
        .limit(limit)
        .select((deliveries::owner, deliveries::conversation_id))
        .load(c)
        .await
}

/// Reads the first released deliveries of a conversation, with their generations.
pub(crate) async fn unmoved_of(
    c: &mut Conn,
    (owner, conversation): (&str, Id),
    released: i64,
    limit: i64,
) -> QueryResult<Vec<(Id, i64)>> {
    deliveries::table
        .filter(deliveries::conversation_id.eq(conversation))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::generation.lt(released))
        .order((deliveries::generation, deliveries::sequence))
        .limit(limit)
        .select((deliveries::message_id, deliveries::generation))
        .load(c)
        .await
}

/// Blocks the first delivery of a conversation's queue, unless it is being handed over.
pub(crate) async fn block(
    c: &mut Conn,
    (owner, conversation): (&str, Id),
    generation: i64,
) -> QueryResult<()> {
    let unclaimed = deliveries::table
        .filter(deliveries::conversation_id.eq(conversation))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::generation.eq(generation))
        .filter(deliveries::state.eq("waiting"))
        .filter(deliveries::blocked.eq(false));
    prepared(diesel::update(unclaimed).set(deliveries::blocked.eq(true)))
        .execute(c)
        .await
        .map(|_| ())
}

/// Whether a delivery of a conversation is being handed over; locks it against removal.
pub(crate) async fn is_claimed(
    c: &mut Conn,
    (owner, conversation): (&str, Id),
    generation: i64,
) -> QueryResult<bool> {
    let claimed: Option<Id> = key_shared!(
        deliveries::table
            .filter(deliveries::conversation_id.eq(conversation))
            .filter(deliveries::owner.eq(owner))
            .filter(deliveries::generation.eq(generation))
            .filter(deliveries::state.eq("claimed"))
            .limit(1)
            .select(deliveries::message_id)
    )
    .get_result(c)
    .await
    .optional()?;
    Ok(claimed.is_some())
}

/// Moves deliveries to the current generation, at the end of their queue. One that is being handed over is not blocked:
/// it leads its queue until it is done, or is claimed again when its lease ends.
pub(crate) async fn move_up(c: &mut Conn, ids: Vec<Id>, generation: i64) -> QueryResult<()> {
    let set = (
        deliveries::generation.eq(generation),
        deliveries::blocked.eq(deliveries::state.eq("waiting")),
    );
    prepared(diesel::update(deliveries::table.filter(deliveries::message_id.eq_any(ids))).set(set))
        .execute(c)
        .await
        .map(|_| ())
}
