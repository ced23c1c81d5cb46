//! Senders.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Conn, Db};
use crate::fields::Id;
use crate::fragments::prepared::prepared;
use crate::rows::sender::SenderRow;
use crate::schema::senders;

pub(crate) async fn get(c: &mut Conn, owner: &str, id: Id) -> QueryResult<Option<SenderRow>> {
    senders::table
        .filter(senders::id.eq(id))
        .filter(senders::owner.eq(owner))
        .select(SenderRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// Reads the sender of an address in the whole installation: an address determines its owner.
pub(crate) async fn by_address(
    c: &mut Conn,
    channel: &str,
    address: &str,
) -> QueryResult<Option<SenderRow>> {
    senders::table
        .filter(senders::channel.eq(channel))
        .filter(senders::address.eq(address))
        .select(SenderRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// Reads senders of the whole installation, for a dispatcher that claims their deliveries.
pub(crate) async fn of_deliveries(c: &mut Conn, ids: Vec<Id>) -> QueryResult<Vec<SenderRow>> {
    senders::table
        .filter(senders::id.eq_any(ids))
        .select(SenderRow::as_select())
        .load(c)
        .await
}

pub(crate) async fn page(
    c: &mut Conn,
    owner: &str,
    channel: Option<&str>,
    after: Option<Id>,
    limit: i64,
) -> QueryResult<Vec<SenderRow>> {
    let mut query = senders::table
        .filter(senders::owner.eq(owner.to_owned()))
        .into_boxed::<Db>();
    if let Some(channel) = channel {
        query = query.filter(senders::channel.eq(channel.to_owned()));
    }
    if let Some(after) = after {
        query = query.filter(senders::id.gt(after));
    }
    query
        .order(senders::id)
        .limit(limit)
        .select(SenderRow::as_select())
        .load(c)
        .await
}

pub(crate) async fn lock(c: &mut Conn, owner: &str, id: Id) -> QueryResult<Option<SenderRow>> {
    locked!(
        senders::table
            .filter(senders::id.eq(id))
            .filter(senders::owner.eq(owner))
            .select(SenderRow::as_select())
    )
    .get_result(c)
    .await
    .optional()
}

/// Inserts the row; `false` if the address is taken.
pub(crate) async fn insert(c: &mut Conn, row: &SenderRow) -> QueryResult<bool> {
    let inserted = prepared(
        diesel::insert_into(senders::table)
            .values(row.clone())
            .on_conflict((senders::channel, senders::address))
            .do_nothing(),
    )
    .execute(c)
    .await?;
    Ok(inserted == 1)
}

pub(crate) async fn update(c: &mut Conn, row: &SenderRow, found_version: i64) -> QueryResult<bool> {
    let target = senders::table
        .filter(senders::id.eq(row.id))
        .filter(senders::owner.eq(row.owner.clone()))
        .filter(senders::version.eq(found_version));
    Ok(prepared(diesel::update(target).set(row.clone()))
        .execute(c)
        .await?
        == 1)
}

pub(crate) async fn delete(c: &mut Conn, owner: &str, id: Id) -> QueryResult<bool> {
    let target = senders::table
        .filter(senders::id.eq(id))
        .filter(senders::owner.eq(owner));
    Ok(diesel::delete(target).execute(c).await? == 1)
}
