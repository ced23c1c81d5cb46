//! Pages of lists.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

/// The largest power of two that is a limit.
const LARGEST: u64 = 1 << 62;

/// The first rows of a list, so many. On Postgres alone.
///
/// A plan for any value takes a LIMIT that is a parameter for a tenth of the list. The longer the list, the dearer it then looks
/// beside a plan for the few rows that are asked for, until Postgres plans each time anew, which costs more than the page. The
/// number is a parameter all the same, or there would be a kept statement for each size of a page; the inner one, in the text,
/// is the next power of two and says how small the whole is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paged<Q> {
    list: Q,
    most: u64,
    limit: i64,
}

impl<Q> Paged<Q> {
    /// An ordered list without a limit of its own.
    pub(crate) fn new(list: Q, limit: i64) -> Self {
        Self {
            list,
            most: most(limit),
            limit,
        }
    }
}

/// The next power of two.
pub(crate) fn most(limit: i64) -> u64 {
    let most = limit.unsigned_abs().checked_next_power_of_two();
    most.map_or(LARGEST, |most| most.min(LARGEST))
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Paged<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT * FROM (");
        self.list.walk_ast(out.reborrow())?;
        out.push_sql(&format!(" LIMIT {}) page LIMIT ", self.most));
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
