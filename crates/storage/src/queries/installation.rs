//! The installation, and the database that it runs on.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::fragments::prepared::prepared;
use crate::rows::installation::DatabaseStateRow;
use crate::schema::{cache_epoch, cache_instances, installation, write_probe};

/// Reads the id of the installation.
pub(crate) async fn id(c: &mut Conn) -> QueryResult<Id> {
    installation::table
        .select(installation::id)
        .get_result(c)
        .await
}

/// Locks the installation; returns the number of reconciliation passes, and the server on which deliveries were held
/// last.
pub(crate) async fn lock(c: &mut Conn) -> QueryResult<(i64, String)> {
    locked!(installation::table.select((installation::reconciliations, installation::held_on)))
        .get_result(c)
        .await
}

/// Reads the server that answers.
pub(crate) async fn server(c: &mut Conn) -> QueryResult<String> {
    diesel::select(server!()).get_result(c).await
}

/// Records that deliveries were held on the server that answers.
pub(crate) async fn record_hold(c: &mut Conn) -> QueryResult<()> {
    prepared(diesel::update(installation::table).set(installation::held_on.eq(server!())))
        .execute(c)
        .await
        .map(|_| ())
}

/// Records the database that answers; on its server deliveries may be claimed.
pub(crate) async fn record(c: &mut Conn) -> QueryResult<()> {
    let set = (
        installation::database.eq(identity!()),
        installation::server.eq(server!()),
    );
    prepared(diesel::update(installation::table).set(set))
        .execute(c)
        .await
        .map(|_| ())
}

/// Allows deliveries to be claimed on this server, if the recorded database answers; returns whether it does.
pub(crate) async fn accept(c: &mut Conn, server: &str) -> QueryResult<bool> {
    let recorded = installation::table.filter(installation::database.eq(identity!()));
    prepared(diesel::update(recorded).set(installation::server.eq(server)))
        .execute(c)
        .await
        .map(|rows| rows > 0)
}

/// Sets the number of reconciliation passes: the database was compared with the marker.
pub(crate) async fn set_reconciliations(c: &mut Conn, passes: i64) -> QueryResult<()> {
    let set = (
        installation::reconciliations.eq(passes),
        installation::held_on.eq(""),
    );
    prepared(diesel::update(installation::table).set(set))
        .execute(c)
        .await
        .map(|_| ())
}

/// Reads the identity of the database that answers.
pub(crate) async fn identity(c: &mut Conn) -> QueryResult<String> {
    diesel::select(identity!()).get_result(c).await
}

/// Writes filler bytes.
pub(crate) async fn probe(c: &mut Conn, filler: Vec<u8>) -> QueryResult<()> {
    prepared(diesel::update(write_probe::table).set(write_probe::filler.eq(filler)))
        .execute(c)
        .await
        .map(|_| ())
}

/// Reads the state of the database that answers, and what it has recorded.
pub(crate) async fn database_state(c: &mut Conn) -> QueryResult<DatabaseStateRow> {
    let epoch = cache_epoch::table.select(cache_epoch::number);
    let shared = cache_instances::table
        .filter(cache_instances::shared)
        .filter(cache_instances::alive_until.gt(from_now!(0)));
    let state = installation::table.select((
        installation::id,
        identity!(),
        server!(),
        installation::server.eq(server!()),
        diesel::dsl::exists(shared),
        epoch.single_value(),
    ));
    prepared(state).get_result(c).await
}

/// Counts a reconciliation pass, if there have been at least `known`; returns the new count.
pub(crate) async fn count_reconciliation(c: &mut Conn, known: i64) -> QueryResult<Option<i64>> {
    let as_many = installation::table.filter(installation::reconciliations.ge(known));
    let counted = diesel::update(as_many)
        .set((
            installation::reconciliations.eq(installation::reconciliations + 1),
            installation::held_on.eq(""),
        ))
        .returning(installation::reconciliations);
    prepared(counted).get_result(c).await.optional()
}
