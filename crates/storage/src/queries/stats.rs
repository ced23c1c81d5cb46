//! Counters.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fragments::counting::{Deltas, MovedMessageCounts, Sums};
use crate::fragments::prepared::prepared;
use crate::rows::stats::CountRow;

/// Reads all counters of an owner, or of one of its users: totals and deltas, in one snapshot.
pub(crate) async fn sums(
    c: &mut Conn,
    owner: &str,
    user: Option<&str>,
) -> QueryResult<Vec<CountRow>> {
    prepared(Sums::of(owner, user)).load(c).await
}

/// Whether there are deltas that are not folded yet, of the whole installation.
pub(crate) async fn has_deltas(c: &mut Conn) -> QueryResult<bool> {
    let exists = diesel::dsl::sql::<diesel::sql_types::Bool>("EXISTS (SELECT 1 FROM stat_deltas)");
    prepared(diesel::select(exists)).get_result(c).await
}

/// Appends the deltas of a write that has no statement to combine them with.
pub(crate) async fn append(c: &mut Conn, deltas: &Deltas) -> QueryResult<()> {
    prepared(deltas.clone()).execute(c).await.map(|_| ())
}

/// Moves the counts of some messages of a conversation to another user, or removes them.
pub(crate) async fn move_messages(c: &mut Conn, moved: MovedMessageCounts) -> QueryResult<()> {
    prepared(moved).execute(c).await.map(|_| ())
}
