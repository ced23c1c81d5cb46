//! Lists that are merged from several ranges of an index, newest first.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;

use crate::fragments::paged::rounded_up;

/// The order of each range, and of the whole.
const NEWEST: &str = r#" ORDER BY "active_at" DESC, "id" DESC LIMIT "#;

/// The first rows of several lists taken together. The lists have no order and no limit of their own.
#[derive(Debug, Clone)]
pub(crate) struct Merged<Q> {
    lists: Vec<Q>,
    limit: i64,
}

impl<Q> Merged<Q> {
    pub(crate) const fn new(lists: Vec<Q>, limit: i64) -> Self {
        Self { lists, limit }
    }
}

/// Each list gets its own order and its own limit, or Postgres would sort the whole of it. The limit is literal for the
/// same reason as in [`crate::fragments::paged::Paged`], which the statement of a single list resembles.
impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Merged<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let rounded = rounded_up(self.limit);
        for (at, list) in self.lists.iter().enumerate() {
            out.push_sql(if at == 0 {
                "SELECT * FROM ("
            } else {
                " UNION ALL SELECT * FROM ("
            });
            list.walk_ast(out.reborrow())?;
            out.push_sql(&format!("{NEWEST}{rounded}) page{at}"));
        }
        out.push_sql(if self.lists.len() > 1 {
            NEWEST
        } else {
            " LIMIT "
        });
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// SQLite merges the lists row by row, as long as none of them has an order of its own.
impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Merged<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        union_all(&self.lists, out.reborrow())?;
        out.push_sql(NEWEST);
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// The number of rows of several lists together.
#[derive(Debug, Clone)]
pub(crate) struct MergedCount<Q> {
    lists: Vec<Q>,
}

impl<Q> MergedCount<Q> {
    pub(crate) const fn new(lists: Vec<Q>) -> Self {
        Self { lists }
    }
}

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for MergedCount<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        union_all(&self.lists, out.reborrow())?;
        out.push_sql(") list");
        Ok(())
    }
}

/// Joins the lists with UNION ALL.
fn union_all<'b, DB, Q>(lists: &'b [Q], mut out: AstPass<'_, 'b, DB>) -> QueryResult<()>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    for (at, list) in lists.iter().enumerate() {
        if at > 0 {
            out.push_sql(" UNION ALL ");
        }
        list.walk_ast(out.reborrow())?;
    }
    Ok(())
}

impl<Q: Query> Query for Merged<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> Query for MergedCount<Q> {
    type SqlType = BigInt;
}

impl<Q> QueryId for Merged<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> QueryId for MergedCount<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}
