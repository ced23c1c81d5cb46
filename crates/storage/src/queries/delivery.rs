//! The jobs of messages that are to leave.
//!
//! One message of a conversation is handed over at a time: the others are `blocked`, and whoever removes a job frees the
//! next. A send locks the last job of the line (against removal only) before it decides whether its own is blocked, so that
//! none is blocked by a job that is just being removed. A scheduled one comes into the line when its time has come. Of a line
//! exactly one is not blocked.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::prepared::prepared;
use crate::rows::delivery::DeliveryRow;
use crate::schema::{deliveries, senders};

/// The sender of a job, if it may send.
macro_rules! active {
    () => {
        senders::table
            .filter(senders::id.eq(deliveries::sender_id))
            .filter(senders::status.eq("active"))
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

/// Of the whole installation: how many jobs there are and since when the oldest has been due, by channel and state.
pub(crate) async fn queues(
    c: &mut Conn,
) -> QueryResult<Vec<(String, String, i64, Option<Instant>)>> {
    deliveries::table
        .group_by((deliveries::channel, deliveries::state))
        .select((
            deliveries::channel,
            deliveries::state,
            diesel::dsl::count_star(),
            diesel::dsl::min(deliveries::due_at),
        ))
        .load(c)
        .await
}

/// The last attempt of a message's job, if it has one.
pub(crate) async fn attempt(c: &mut Conn, owner: &str, message: Id) -> QueryResult<Option<i32>> {
    deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .select(deliveries::attempt)
        .get_result(c)
        .await
        .optional()
}

/// When the next job of the whole installation can be claimed. One of a paused sender cannot: it would be due all the time.
pub(crate) async fn next_due(c: &mut Conn) -> QueryResult<Option<Instant>> {
    deliveries::table
        .filter(diesel::dsl::not(deliveries::blocked))
        .filter(diesel::dsl::exists(active!()))
        .order(deliveries::due_at)
        .limit(1)
        .select(deliveries::due_at)
        .get_result(c)
        .await
        .optional()
}

/// The last job of a conversation's line, locked against removal. A scheduled one is not in the line.
pub(crate) async fn last_in_line(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
) -> QueryResult<Option<Id>> {
    kept!(
        deliveries::table
            .filter(deliveries::conversation_id.eq(conversation))
            .filter(deliveries::owner.eq(owner))
            .filter(deliveries::state.ne("scheduled"))
            .order(deliveries::sequence.desc())
            .limit(1)
            .select(deliveries::message_id)
    )
    .get_result(c)
    .await
    .optional()
}

pub(crate) async fn insert(c: &mut Conn, row: &DeliveryRow) -> QueryResult<()> {
    diesel::insert_into(deliveries::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}

/// Jobs of the whole installation that can be claimed now, or come into the line, locked; those of a paused sender wait; those that somebody else is claiming are passed over.
pub(crate) async fn claimable(
    c: &mut Conn,
    now: Instant,
    limit: i64,
) -> QueryResult<Vec<DeliveryRow>> {
    skipping_locked!(
        deliveries::table
            .filter(diesel::dsl::not(deliveries::blocked))
            .filter(deliveries::due_at.le(now))
            .filter(diesel::dsl::exists(active!()))
            .order(deliveries::due_at)
            .limit(limit)
            .select(DeliveryRow::as_select())
    )
    .load(c)
    .await
}

/// Claims jobs that are locked: a new attempt each, until the lease ends.
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

/// Gives a claimed job back, to be claimed again later; `false` if its worker has lost it.
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

/// Moves a scheduled job to another time; `false` if it is not scheduled any more.
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

/// A scheduled job whose time has come takes its place in the line; `false` if it has left the schedule.
pub(crate) async fn enter_line(
    c: &mut Conn,
    owner: &str,
    message: Id,
    now: Instant,
    blocked: bool,
) -> QueryResult<bool> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::state.eq("scheduled"))
        .filter(deliveries::due_at.le(now));
    let set = (
        deliveries::state.eq("waiting"),
        deliveries::blocked.eq(blocked),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// Ends a job that nobody has claimed; `None` if somebody has, or else whether the next of its line is to be freed.
pub(crate) async fn withdraw(c: &mut Conn, owner: &str, message: Id) -> QueryResult<Option<bool>> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::state.ne("claimed"));
    diesel::delete(target)
        .returning((deliveries::state, deliveries::blocked))
        .get_result(c)
        .await
        .optional()
        .map(|removed: Option<(String, bool)>| {
            removed.map(|(state, blocked)| was_first(&state, blocked))
        })
}

/// Ends a job whoever has it: somebody has told that the message has left. `None` if there is none, or else its last attempt,
/// and whether the next of its line is to be freed.
pub(crate) async fn delete(
    c: &mut Conn,
    owner: &str,
    message: Id,
) -> QueryResult<Option<(i32, bool)>> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner));
    let removed: Option<(i32, String, bool)> = diesel::delete(target)
        .returning((deliveries::attempt, deliveries::state, deliveries::blocked))
        .get_result(c)
        .await
        .optional()?;
    Ok(removed.map(|(attempt, state, blocked)| (attempt, was_first(&state, blocked))))
}

/// Whoever goes from the middle of the line must not free another while the first is under way.
fn was_first(state: &str, blocked: bool) -> bool {
    state != "scheduled" && !blocked
}

/// Frees the first of a conversation's line; whether it was blocked.
pub(crate) async fn unblock_next(c: &mut Conn, owner: &str, conversation: Id) -> QueryResult<bool> {
    let first: Option<(Id, bool)> = deliveries::table
        .filter(deliveries::conversation_id.eq(conversation))
        .filter(deliveries::owner.eq(owner))
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

/// None of a conversation's messages leaves any more.
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
