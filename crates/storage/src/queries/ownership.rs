//! Owners of entities. The only reads that do not name the owner, since they return it.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::schema::{conversations, feed, messages};

pub(crate) async fn message(c: &mut Conn, id: Id) -> QueryResult<Option<String>> {
    messages::table
        .filter(messages::id.eq(id))
        .select(messages::owner)
        .get_result(c)
        .await
        .optional()
}

pub(crate) async fn conversation(c: &mut Conn, id: Id) -> QueryResult<Option<String>> {
    conversations::table
        .filter(conversations::id.eq(id))
        .select(conversations::owner)
        .get_result(c)
        .await
        .optional()
}

/// Reads the latest events, newest first: the conversation of each, and its owner and user. The feed is read in its own
/// order, however many conversations there are.
pub(crate) async fn latest(c: &mut Conn, events: i64) -> QueryResult<Vec<(String, Id, String)>> {
    feed::table
        .order((feed::xid.desc(), feed::id.desc()))
        .limit(events)
        .select((feed::owner, feed::conversation_id, feed::user_label))
        .load(c)
        .await
}
