//! Popular searches, of the whole installation.

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::prepared::prepared;
use crate::rows::popular::{PopularRankRow, PopularRow};
use crate::schema::{conversations, popular_searches, popular_state};

/// Reads the day for which the weights hold, and locks it: no other transaction changes anything until the end of this
/// one.
pub(crate) async fn lock_day(c: &mut Conn) -> QueryResult<i64> {
    locked!(popular_state::table.select(popular_state::day))
        .get_result(c)
        .await
}

pub(crate) async fn set_day(c: &mut Conn, day: i64) -> QueryResult<()> {
    let set = popular_state::day.eq(day);
    prepared(diesel::update(popular_state::table).set(set))
        .execute(c)
        .await
        .map(|_| ())
}

pub(crate) async fn divide(c: &mut Conn, divisor: i64) -> QueryResult<()> {
    let set = popular_searches::weight.eq(popular_searches::weight / divisor);
    prepared(diesel::update(popular_searches::table).set(set))
        .execute(c)
        .await
        .map(|_| ())
}

/// Adds rows; each fingerprint must occur once.
pub(crate) async fn add(c: &mut Conn, rows: &[PopularRow]) -> QueryResult<()> {
    insert_all!(c, rows, |some| {
        diesel::insert_into(popular_searches::table)
            .values(some)
            .on_conflict(popular_searches::question)
            .do_update()
            .set((
                popular_searches::weight
                    .eq(popular_searches::weight + excluded(popular_searches::weight)),
                popular_searches::asked_at.eq(excluded(popular_searches::asked_at)),
            ))
    })
    .map(|_| ())
}

/// Reads the most popular searches first.
pub(crate) async fn popular(c: &mut Conn, limit: i64) -> QueryResult<Vec<PopularRow>> {
    popular_searches::table
        .order((
            popular_searches::weight.desc(),
            popular_searches::asked_at.desc(),
            popular_searches::question,
        ))
        .limit(limit)
        .select(PopularRow::as_select())
        .load(c)
        .await
}

/// Reads all rows, the most popular first.
pub(crate) async fn ranking(c: &mut Conn) -> QueryResult<Vec<PopularRankRow>> {
    popular_searches::table
        .order((
            popular_searches::weight.desc(),
            popular_searches::asked_at.desc(),
            popular_searches::question,
        ))
        .select(PopularRankRow::as_select())
        .load(c)
        .await
}

/// Reads searches that can have no match: their owner, user or conversation has nothing left.
pub(crate) async fn without_matches(c: &mut Conn) -> QueryResult<Vec<Id>> {
    let of_owner = || {
        conversations::table
            .filter(conversations::owner.eq(popular_searches::owner))
            .filter(conversations::deleted_at.is_null())
    };
    // As in the definition of the index: see `conversation_lists`.
    let of_user = conversations::table
        .filter(conversations::deleted_at.is_null())
        .filter(sql::<Bool>(
            "conversations.user_label <> '' AND conversations.owner || ' ' || conversations.user_label \
             = popular_searches.owner || ' ' || popular_searches.user_label",
        ));
    let named = conversations::id
        .nullable()
        .eq(popular_searches::conversation_id);
    let no_user = popular_searches::user_label
        .is_not_null()
        .and(not(exists(of_user)));
    let no_conversation = popular_searches::conversation_id
        .is_not_null()
        .and(not(exists(of_owner().filter(named))));
    popular_searches::table
        .filter(not(exists(of_owner())).or(no_user).or(no_conversation))
        .select(popular_searches::question)
        .load(c)
        .await
}

/// Deletes exactly these.
pub(crate) async fn delete(c: &mut Conn, questions: Vec<Id>) -> QueryResult<()> {
    diesel::delete(popular_searches::table.filter(popular_searches::question.eq_any(questions)))
        .execute(c)
        .await
        .map(|_| ())
}

pub(crate) async fn is_empty(c: &mut Conn) -> QueryResult<bool> {
    let any: Option<Id> = popular_searches::table
        .select(popular_searches::question)
        .limit(1)
        .get_result(c)
        .await
        .optional()?;
    Ok(any.is_none())
}

/// Deletes all of them.
pub(crate) async fn delete_all(c: &mut Conn) -> QueryResult<()> {
    diesel::delete(popular_searches::table)
        .execute(c)
        .await
        .map(|_| ())
}
