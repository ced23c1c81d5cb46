//! Deliveries of outbound messages.
//!
//! One message of a conversation is handed over at a time: the others are `blocked`, and the transaction that removes a
//! delivery unblocks the next. A send locks the last delivery of the conversation queue (against removal only) before
//! it decides whether its own is blocked, so that none is blocked by a delivery that is being removed. A scheduled
//! delivery enters the queue when it is due. Exactly one delivery of a queue is not blocked.
//!
//! A hold begins a new generation of deliveries, and only the current generation is claimed. A queue belongs to one
//! generation, so that a held delivery blocks none that is sent later.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::fragments::prepared::prepared;
use crate::rows::delivery::DeliveryRow;
use crate::schema::{deliveries, installation, senders};

/// The sender of a delivery, if it may send.
macro_rules! active {
    () => {
        senders::table
            .filter(senders::id.eq(deliveries::sender_id))
            .filter(senders::status.eq("active"))
    };
}

/// The current generation of deliveries.
macro_rules! present {
    () => {
        installation::table
            .select(installation::generation)
            .single_value()
            .assume_not_null()
    };
}

/// The generation that may be claimed: the current one, or none if the server that executes this is not the accepted
/// one. Such a server may have an earlier state of the database that was not detected yet.
macro_rules! claimed_from {
    () => {
        installation::table
            .filter(installation::server.eq(server!()))
            .select(installation::generation)
            .single_value()
    };
}

/// Whether messages wait for this sender.
pub(crate) async fn waits_for(c: &mut Conn, owner: &str, sender: Id) -> QueryResult<bool> {
    let waiting = deliveries::table
        .filter(deliveries::sender_id.eq(sender))
        .filter(deliveries::owner.eq(owner));
    diesel::select(diesel::dsl::exists(waiting))
        .get_result(c)
        .await
}

/// Counts the deliveries of the whole installation, with the due time of the oldest, by channel, state and generation.
pub(crate) async fn queues(
    c: &mut Conn,
) -> QueryResult<Vec<(String, String, i64, i64, Option<Instant>)>> {
    deliveries::table
        .group_by((
            deliveries::channel,
            deliveries::state,
            deliveries::generation,
        ))
        .select((
            deliveries::channel,
            deliveries::state,
            deliveries::generation,
            diesel::dsl::count_star(),
            diesel::dsl::min(deliveries::due_at),
        ))
        .load(c)
        .await
}

/// Reads the last attempt of a message's delivery, if it has one.
pub(crate) async fn attempt(c: &mut Conn, owner: &str, message: Id) -> QueryResult<Option<i32>> {
    deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .select(deliveries::attempt)
        .get_result(c)
        .await
        .optional()
}

/// Locks a message's delivery and reads its last attempt, if it has one.
pub(crate) async fn lock(c: &mut Conn, owner: &str, message: Id) -> QueryResult<Option<i32>> {
    locked!(
        deliveries::table
            .filter(deliveries::message_id.eq(message))
            .filter(deliveries::owner.eq(owner))
            .select(deliveries::attempt)
    )
    .get_result(c)
    .await
    .optional()
}

/// Reads when the next delivery of the whole installation can be claimed. One of a paused sender cannot: it would be
/// due all the time.
pub(crate) async fn next_due(c: &mut Conn) -> QueryResult<Option<Instant>> {
    let next = deliveries::table
        .filter(diesel::dsl::not(deliveries::blocked))
        .filter(deliveries::generation.nullable().eq(claimed_from!()))
        .filter(diesel::dsl::exists(active!()))
        .order(deliveries::due_at)
        .limit(1)
        .select(deliveries::due_at);
    prepared(next).get_result(c).await.optional()
}

/// Reads the generation of a conversation's queue, if there is a delivery in it; locks its last delivery against
/// removal. A scheduled delivery is not in the queue, and neither is one of an earlier generation.
pub(crate) async fn queue_generation(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
) -> QueryResult<Option<i64>> {
    key_shared!(
        deliveries::table
            .filter(deliveries::conversation_id.eq(conversation))
            .filter(deliveries::owner.eq(owner))
            .filter(deliveries::generation.eq(present!()))
            .filter(deliveries::state.ne("scheduled"))
            .order(deliveries::sequence.desc())
            .limit(1)
            .select(deliveries::generation)
    )
    .get_result(c)
    .await
    .optional()
}

/// Whether a delivery that comes behind a queue of this generation is blocked: not if a hold has begun a new generation
/// since.
macro_rules! blocked_by {
    ($queue:expr) => {
        present!().eq($queue.unwrap_or(NO_QUEUE))
    };
}

/// No generation.
const NO_QUEUE: i64 = -1;

/// Inserts a delivery of the current generation, behind the queue of that generation.
pub(crate) async fn insert(c: &mut Conn, row: &DeliveryRow, queue: Option<i64>) -> QueryResult<()> {
    let insert = diesel::insert_into(deliveries::table).values((
        row.clone(),
        deliveries::blocked.eq(blocked_by!(queue)),
        deliveries::generation.eq(present!()),
    ));
    prepared(insert).execute(c).await.map(|_| ())
}

/// Locks deliveries of the whole installation that can be claimed now, and scheduled ones that can enter their queue.
/// Skips those of a paused sender, held ones, and those that another instance is claiming. Returns none until the
/// server was accepted: what waits in a restored database may have been sent before.
pub(crate) async fn claimable(
    c: &mut Conn,
    now: Instant,
    limit: i64,
) -> QueryResult<Vec<DeliveryRow>> {
    let claimable = skipping_locked!(
        deliveries::table
            .filter(diesel::dsl::not(deliveries::blocked))
            .filter(deliveries::generation.nullable().eq(claimed_from!()))
            .filter(deliveries::due_at.le(now))
            .filter(diesel::dsl::exists(active!()))
            .order(deliveries::due_at)
            .limit(limit)
            .select(DeliveryRow::as_select())
    );
    prepared(claimable).load(c).await
}

/// Claims deliveries that are locked: a new attempt each, until the lease ends.
pub(crate) async fn claim(c: &mut Conn, ids: Vec<Id>, lease_until: Instant) -> QueryResult<usize> {
    prepared(
        diesel::update(deliveries::table.filter(deliveries::message_id.eq_any(ids))).set((
            deliveries::state.eq("claimed"),
            deliveries::attempt.eq(deliveries::attempt + 1),
            deliveries::due_at.eq(lease_until),
        )),
    )
    .execute(c)
    .await
}

/// Makes deliveries that are locked due again later.
pub(crate) async fn postpone(c: &mut Conn, ids: Vec<Id>, due_at: Instant) -> QueryResult<usize> {
    diesel::update(deliveries::table.filter(deliveries::message_id.eq_any(ids)))
        .set(deliveries::due_at.eq(due_at))
        .execute(c)
        .await
}

/// Undoes the claim that began this attempt; `false` if the delivery was claimed again since.
pub(crate) async fn undo_claim(
    c: &mut Conn,
    owner: &str,
    message: Id,
    attempt: i32,
    state: &str,
    due_at: Instant,
) -> QueryResult<bool> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::attempt.eq(attempt))
        .filter(deliveries::state.eq("claimed"));
    let set = (
        deliveries::state.eq(state),
        deliveries::attempt.eq(attempt - 1),
        deliveries::due_at.eq(due_at),
    );
    Ok(diesel::update(target).set(set).execute(c).await? == 1)
}

/// Returns a claimed delivery to the waiting state, to be claimed again later; `false` if its worker has lost it.
pub(crate) async fn give_back(
    c: &mut Conn,
    owner: &str,
    message: Id,
    attempt: i32,
    due_at: Instant,
) -> QueryResult<bool> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::attempt.eq(attempt))
        .filter(deliveries::state.eq("claimed"));
    let set = (
        deliveries::state.eq("waiting"),
        deliveries::due_at.eq(due_at),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// Moves a scheduled delivery to another time; `false` if it is not scheduled any more.
pub(crate) async fn reschedule(
    c: &mut Conn,
    owner: &str,
    message: Id,
    due_at: Instant,
) -> QueryResult<bool> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::state.eq("scheduled"));
    Ok(
        prepared(diesel::update(target).set(deliveries::due_at.eq(due_at)))
            .execute(c)
            .await?
            == 1,
    )
}

/// Moves a scheduled delivery that is due into the conversation queue; `false` if it is not scheduled any more, or is
/// held.
pub(crate) async fn enter_queue(
    c: &mut Conn,
    owner: &str,
    message: Id,
    now: Instant,
    queue: Option<i64>,
) -> QueryResult<bool> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::state.eq("scheduled"))
        .filter(deliveries::generation.eq(present!()))
        .filter(deliveries::due_at.le(now));
    let set = (
        deliveries::state.eq("waiting"),
        deliveries::blocked.eq(blocked_by!(queue)),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// Removes a delivery that is not claimed. Returns `None` if it is claimed, otherwise the generation of the queue in
/// which the next delivery is to be unblocked, if any.
pub(crate) async fn withdraw(
    c: &mut Conn,
    owner: &str,
    message: Id,
) -> QueryResult<Option<Option<i64>>> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::state.ne("claimed"));
    let removed: Option<(String, bool, i64)> = diesel::delete(target)
        .returning((
            deliveries::state,
            deliveries::blocked,
            deliveries::generation,
        ))
        .get_result(c)
        .await
        .optional()?;
    Ok(
        removed
            .map(|(state, blocked, generation)| was_first(&state, blocked).then_some(generation)),
    )
}

/// Removes a delivery, claimed or not: a report says that the message has been sent. Returns `None` if there is none,
/// otherwise its last attempt, and the generation of the queue in which the next delivery is to be unblocked, if any.
pub(crate) async fn delete(
    c: &mut Conn,
    owner: &str,
    message: Id,
) -> QueryResult<Option<(i32, Option<i64>)>> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner));
    let removed: Option<(i32, String, bool, i64)> = diesel::delete(target)
        .returning((
            deliveries::attempt,
            deliveries::state,
            deliveries::blocked,
            deliveries::generation,
        ))
        .get_result(c)
        .await
        .optional()?;
    Ok(removed.map(|(attempt, state, blocked, generation)| {
        (attempt, was_first(&state, blocked).then_some(generation))
    }))
}

/// Whether a delivery was the first of its queue. Removing one from the middle must not unblock another while the first
/// is under way.
fn was_first(state: &str, blocked: bool) -> bool {
    state != "scheduled" && !blocked
}

/// Unblocks the first delivery of a conversation's queue of this generation; returns whether it was blocked.
pub(crate) async fn unblock_next(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    generation: i64,
) -> QueryResult<bool> {
    let first: Option<(Id, bool)> = deliveries::table
        .filter(deliveries::conversation_id.eq(conversation))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::generation.eq(generation))
        .filter(deliveries::state.ne("scheduled"))
        .order(deliveries::sequence)
        .limit(1)
        .select((deliveries::message_id, deliveries::blocked))
        .get_result(c)
        .await
        .optional()?;
    let Some((message, true)) = first else {
        return Ok(false);
    };
    prepared(
        diesel::update(deliveries::table.filter(deliveries::message_id.eq(message)))
            .set(deliveries::blocked.eq(false)),
    )
    .execute(c)
    .await
    .map(|freed| freed == 1)
}

/// Removes all deliveries of a conversation.
pub(crate) async fn delete_of_conversation(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
) -> QueryResult<()> {
    let target = deliveries::table
        .filter(deliveries::conversation_id.eq(conversation))
        .filter(deliveries::owner.eq(owner));
    diesel::delete(target).execute(c).await.map(|_| ())
}
