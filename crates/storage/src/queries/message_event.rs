//! Delivery events of messages. Append-only; removed with their message.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::rows::message_event::{DeliveryEventRow, NewDeliveryEventRow};
use crate::schema::message_events;

pub(crate) async fn of_message(
    c: &mut Conn,
    owner: &str,
    message: Id,
    limit: i64,
) -> QueryResult<Vec<DeliveryEventRow>> {
    message_events::table
        .filter(message_events::message_id.eq(message))
        .filter(message_events::owner.eq(owner))
        .order(message_events::id)
        .limit(limit)
        .select(DeliveryEventRow::as_select())
        .load(c)
        .await
}

/// Reads the recorded attempts, with their details.
pub(crate) async fn attempts(
    c: &mut Conn,
    owner: &str,
    message: Id,
) -> QueryResult<Vec<(i32, String)>> {
    message_events::table
        .filter(message_events::message_id.eq(message))
        .filter(message_events::owner.eq(owner))
        .filter(message_events::attempt.is_not_null())
        .order(message_events::id)
        .select((
            message_events::attempt.assume_not_null(),
            message_events::detail,
        ))
        .load(c)
        .await
}

pub(crate) async fn append(c: &mut Conn, row: &NewDeliveryEventRow) -> QueryResult<()> {
    diesel::insert_into(message_events::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}
