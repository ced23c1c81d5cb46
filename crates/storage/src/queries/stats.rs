//! Counters.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::counting::{Deltas, MessagesOf, Sums};
use crate::prepared::prepared;
use crate::rows::stats::CountRow;

/// All numbers of an owner, or of one of its users: what was folded and what was not yet, in one snapshot.
pub(crate) async fn sums(
    c: &mut Conn,
    owner: &str,
    user: Option<&str>,
) -> QueryResult<Vec<CountRow>> {
    prepared(Sums::of(owner, user)).load(c).await
}

/// Whether something is not folded yet, of the whole installation.
pub(crate) async fn has_deltas(c: &mut Conn) -> QueryResult<bool> {
    let exists = diesel::dsl::sql::<diesel::sql_types::Bool>("EXISTS (SELECT 1 FROM stat_deltas)");
    prepared(diesel::select(exists)).get_result(c).await
}

/// Appends what a write changed that has no statement to do so with.
pub(crate) async fn append(c: &mut Conn, deltas: &Deltas) -> QueryResult<()> {
    prepared(deltas.clone()).execute(c).await.map(|_| ())
}

/// Moves some messages of a conversation from one user to another, or to no user.
pub(crate) async fn move_messages(c: &mut Conn, moved: MessagesOf) -> QueryResult<()> {
    prepared(moved).execute(c).await.map(|_| ())
}
