//! Statements that are prepared once per connection.
//!
//! Diesel prepares updates, upserts and literal SQL again each time, since their text may differ with the values (a
//! field that is `None` is left out of a changeset). Here every column is always set, so one text serves all values;
//! without this wrapper each such statement costs one more round trip. The cache of prepared statements is keyed by
//! text, so a statement with two texts is merely prepared twice.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// Maximum number of rows that one statement writes.
const MAX_ROWS: usize = 64;

/// Splits rows into portions, one per statement. The number of rows is part of a statement's text, so each portion has
/// the largest power of two that still fits: a few distinct statements serve any number of rows.
pub(crate) fn portions<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let largest = rest.len().min(MAX_ROWS).checked_ilog2()?;
        let (portion, later) = rest.split_at_checked(1 << largest)?;
        rest = later;
        Some(portion)
    })
}

/// A statement that is prepared once per connection.
pub(crate) struct Prepared<Q>(Q);

/// Wraps a statement so that it is prepared once per connection.
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
