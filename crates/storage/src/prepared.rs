//! Statements that are prepared once per connection.
//!
//! Diesel prepares updates and upserts anew each time, since their text may differ with the values (a field that is `None` is
//! left out of a changeset), and so it does with literal SQL. Ours always set every column, so one text serves all values; without this each such statement
//! costs a round trip more. Statements are kept by their text, so one whose text does differ is merely kept twice.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// A statement that is kept.
pub(crate) struct Prepared<Q>(Q);

/// Keeps a statement.
pub(crate) const fn prepared<Q>(statement: Q) -> Prepared<Q> {
    Prepared(statement)
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB, Q> QueryFragment<DB> for Prepared<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}
