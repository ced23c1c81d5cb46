//! The stories of messages. Only appended to; they go with their message.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::rows::message_event::{NewStoryRow, StoryRow};
use crate::schema::message_events;

pub(crate) async fn of_message(
    c: &mut Conn,
    owner: &str,
    message: Id,
    limit: i64,
) -> QueryResult<Vec<StoryRow>> {
    message_events::table
        .filter(message_events::message_id.eq(message))
        .filter(message_events::owner.eq(owner))
        .order(message_events::id)
        .limit(limit)
        .select(StoryRow::as_select())
        .load(c)
        .await
}

/// The attempts that are told of, and in which words.
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

pub(crate) async fn append(c: &mut Conn, row: &NewStoryRow) -> QueryResult<()> {
    diesel::insert_into(message_events::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}
