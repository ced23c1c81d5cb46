//! Pages of lists on Postgres.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

/// The largest power of two that a LIMIT can have.
const LARGEST: u64 = 1 << 62;

/// The first rows of a list. On Postgres alone.
///
/// A generic plan assumes that a LIMIT that is a parameter returns a tenth of the list. The longer the list, the more
/// expensive that plan looks compared with a custom plan for the few rows of the page, until Postgres plans every
/// execution, which costs more than the page. The limit is still a parameter, or each page size would need its own
/// prepared statement. An inner LIMIT, literal in the text and rounded up to a power of two, gives the planner the
/// bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paged<Q> {
    list: Q,
    rounded: u64,
    limit: i64,
}

impl<Q> Paged<Q> {
    /// Takes an ordered list without a limit.
    pub(crate) fn new(list: Q, limit: i64) -> Self {
        Self {
            list,
            rounded: rounded_up(limit),
            limit,
        }
    }
}

/// Returns the limit rounded up to a power of two.
pub(crate) fn rounded_up(limit: i64) -> u64 {
    let rounded = limit.unsigned_abs().checked_next_power_of_two();
    rounded.map_or(LARGEST, |rounded| rounded.min(LARGEST))
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Paged<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT * FROM (");
        self.list.walk_ast(out.reborrow())?;
        out.push_sql(&format!(" LIMIT {}) page LIMIT ", self.rounded));
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl<Q: Query> Query for Paged<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Paged<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}
