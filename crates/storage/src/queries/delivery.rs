//! The jobs of messages that are to leave.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::rows::delivery::DeliveryRow;
use crate::schema::deliveries;

/// Whether messages wait for this sender.
pub(crate) async fn waits_for(c: &mut Conn, owner: &str, sender: Id) -> QueryResult<bool> {
    let waiting = deliveries::table
        .filter(deliveries::sender_id.eq(sender))
        .filter(deliveries::owner.eq(owner));
    diesel::select(diesel::dsl::exists(waiting))
        .get_result(c)
        .await
}

pub(crate) async fn insert(c: &mut Conn, row: &DeliveryRow) -> QueryResult<()> {
    diesel::insert_into(deliveries::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}

/// Moves a job to another time.
pub(crate) async fn reschedule(
    c: &mut Conn,
    owner: &str,
    message: Id,
    due_at: Instant,
) -> QueryResult<()> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner));
    diesel::update(target)
        .set(deliveries::due_at.eq(due_at))
        .execute(c)
        .await
        .map(|_| ())
}

/// The message is final, or somebody else has delivered it.
pub(crate) async fn delete(c: &mut Conn, owner: &str, message: Id) -> QueryResult<()> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq(message))
        .filter(deliveries::owner.eq(owner));
    diesel::delete(target).execute(c).await.map(|_| ())
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
