//! Parts of the statements of a search.

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Text};

use super::dialect::Db;
use crate::rows::search::SearchRequest;

/// A statement that is put together from text.
pub(super) type Statement = BoxedSqlQuery<'static, Db, SqlQuery>;

/// The one column of a statement that counts, or that selects a number.
#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
}

/// Adds the conditions on a message, except those on its time, its state and its words.
pub(super) fn narrowed(query: Statement, request: &SearchRequest) -> Statement {
    let query = query
        .sql("m.owner = ?")
        .bind::<Text, _>(request.owner.clone());
    let texts = [
        (" AND c.user_label = ?", request.user.clone()),
        (" AND m.channel = ?", request.channel.map(str::to_owned)),
        (" AND m.direction = ?", request.direction.map(str::to_owned)),
    ];
    let add = |query: Statement, (condition, value): (&str, Option<String>)| match value {
        Some(value) => query.sql(condition).bind::<Text, _>(value),
        None => query,
    };
    texts.into_iter().fold(query, add)
}
