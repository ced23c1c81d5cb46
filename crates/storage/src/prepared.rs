//! Statements that are prepared once per connection.
//!
//! Diesel prepares updates and upserts anew each time, since their text may differ with the values (a field that is `None` is
//! left out of a changeset), and so it does with literal SQL. Ours always set every column, so one text serves all values; without this each such statement
//! costs a round trip more. Statements are kept by their text, so one whose text does differ is merely kept twice.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// Rows that one statement writes together, at most.
const TOGETHER: usize = 64;

/// Rows in portions of so many that their statements are few, however many rows there are: the number of rows is part of a
/// statement's text, so a portion has as many as the largest power of two that is left.
pub(crate) fn portions<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let largest = rest.len().min(TOGETHER).checked_ilog2()?;
        let (portion, later) = rest.split_at_checked(1 << largest)?;
        rest = later;
        Some(portion)
    })
}

/// A statement that is kept.
pub(crate) struct Prepared<Q>(Q);

/// Keeps a statement.
pub(crate) const fn prepared<Q>(statement: Q) -> Prepared<Q> {
    Prepared(statement)
}

impl<Q, Conn> diesel::RunQueryDsl<Conn> for Prepared<Q> {}

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

#[cfg(test)]
mod tests {
    use super::portions;

    #[test]
    fn portions_are_powers_of_two_and_leave_nothing_out() {
        for count in [0, 1, 2, 3, 63, 64, 65, 200] {
            let rows: Vec<usize> = (0..count).collect();
            let sizes: Vec<usize> = portions(&rows).map(<[usize]>::len).collect();
            assert!(
                sizes
                    .iter()
                    .all(|size| size.is_power_of_two() && *size <= 64)
            );
            assert_eq!(portions(&rows).collect::<Vec<_>>().concat(), rows);
        }
    }
}
