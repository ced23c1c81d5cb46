//! The jobs of messages that are to leave.
//!
//! One message of a conversation is handed over at a time: the others are `blocked`, and whoever removes a job frees the
//! next. A send locks the last job of the line (against removal only) before it decides whether its own is blocked, so that
//! none is blocked by a job that is just being removed. A scheduled one comes into the line when its time has come. Of a line
//! exactly one is not blocked.
//!
//! A hold begins a new generation of jobs, and only the present generation is claimed. A line is of one generation, so that a
//! held job blocks none that was sent later.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::prepared::prepared;
use crate::rows::delivery::DeliveryRow;
use crate::schema::{deliveries, installation, senders};

/// The sender of a job, if it may send.
macro_rules! active {
    () => {
        senders::table
            .filter(senders::id.eq(deliveries::sender_id))
            .filter(senders::status.eq("active"))
    };
}

/// The present generation of jobs.
macro_rules! present {
    () => {
        installation::table
            .select(installation::generation)
            .single_value()
            .assume_not_null()
    };
}

/// The generation that may be claimed: the present one, or none while another server than the accepted one executes this. That
/// server may hold an earlier state of the database that was not detected yet.
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

/// Of the whole installation: how many jobs there are and since when the oldest has been due, by channel, state and generation.
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
    let next = deliveries::table
        .filter(diesel::dsl::not(deliveries::blocked))
        .filter(deliveries::generation.nullable().eq(claimed_from!()))
        .filter(diesel::dsl::exists(active!()))
        .order(deliveries::due_at)
        .limit(1)
        .select(deliveries::due_at);
    prepared(next).get_result(c).await.optional()
}

/// The generation of a conversation's line, if there is a job in it; its last job is locked against removal. A scheduled one is
/// not in the line, nor is one of an earlier generation.
pub(crate) async fn line(c: &mut Conn, owner: &str, conversation: Id) -> QueryResult<Option<i64>> {
    kept!(
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

/// Whether a job is blocked that comes behind a line of this generation: not if a hold has begun another one since.
macro_rules! blocked_by {
    ($line:expr) => {
        present!().eq($line.unwrap_or(NO_LINE))
    };
}

/// No generation.
const NO_LINE: i64 = -1;

/// Inserts a job of the present generation, behind the line of that generation.
pub(crate) async fn insert(c: &mut Conn, row: &DeliveryRow, line: Option<i64>) -> QueryResult<()> {
    let insert = diesel::insert_into(deliveries::table).values((
        row.clone(),
        deliveries::blocked.eq(blocked_by!(line)),
        deliveries::generation.eq(present!()),
    ));
    prepared(insert).execute(c).await.map(|_| ())
}

/// Jobs of the whole installation that can be claimed now, or come into the line, locked. Those of a paused sender wait, and so
/// do held ones. Those that another instance is claiming are passed over. None, until the server
/// was accepted: what waits in a restored database may have left before.
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

/// A scheduled job whose time has come takes its place in the line; `false` if it has left the schedule, or is held.
pub(crate) async fn enter_conversation_queue(
    c: &mut Conn,
    owner: &str,
    message: Id,
    now: Instant,
    line: Option<i64>,
) -> QueryResult<bool> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner))
        .filter(deliveries::state.eq("scheduled"))
        .filter(deliveries::generation.eq(present!()))
        .filter(deliveries::due_at.le(now));
    let set = (
        deliveries::state.eq("waiting"),
        deliveries::blocked.eq(blocked_by!(line)),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// Ends a job that is not claimed; `None` if it is, or else the generation of the line whose next job is to be freed, if any.
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
    Ok(removed.map(|(state, blocked, generation)| led(&state, blocked).then_some(generation)))
}

/// Ends a job, claimed or not: a report says that the message has left. `None` if there is none, or else its last attempt, and
/// the generation of the line whose next job is to be freed, if any.
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
        (attempt, led(&state, blocked).then_some(generation))
    }))
}

/// Whether a job was the first of its line. One that goes from the middle must not free another while the first is under way.
fn led(state: &str, blocked: bool) -> bool {
    state != "scheduled" && !blocked
}

/// Frees the first of a conversation's line of this generation; whether it was blocked.
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
