//! The installation itself, and the database that it runs on.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::prepared::prepared;
use crate::schema::{cache_epoch, installation};

/// The installation's id.
pub(crate) async fn id(c: &mut Conn) -> QueryResult<Id> {
    installation::table
        .select(installation::id)
        .get_result(c)
        .await
}

/// The identity of the database that answers.
pub(crate) async fn identity(c: &mut Conn) -> QueryResult<String> {
    diesel::select(identity!()).get_result(c).await
}

/// The installation's id, the identity of the database, the server that answers, and the number of the cache's epoch.
pub(crate) async fn standing(c: &mut Conn) -> QueryResult<(Id, String, String, Option<i64>)> {
    let epoch = cache_epoch::table.select(cache_epoch::number);
    let standing = installation::table.select((
        installation::id,
        identity!(),
        server!(),
        epoch.single_value(),
    ));
    prepared(standing).get_result(c).await
}

/// Counts a reconciliation pass, if there have been so many before; how many there have been by now.
pub(crate) async fn count_reconciliation(c: &mut Conn, known: i64) -> QueryResult<Option<i64>> {
    let as_many = installation::table.filter(installation::reconciliations.ge(known));
    let counted = diesel::update(as_many)
        .set(installation::reconciliations.eq(installation::reconciliations + 1))
        .returning(installation::reconciliations);
    prepared(counted).get_result(c).await.optional()
}

/// There have been so many reconciliation passes at least.
pub(crate) async fn raise_reconciliations(c: &mut Conn, number: i64) -> QueryResult<()> {
    let lower = installation::table.filter(installation::reconciliations.lt(number));
    let raised = diesel::update(lower).set(installation::reconciliations.eq(number));
    prepared(raised).execute(c).await.map(|_| ())
}
