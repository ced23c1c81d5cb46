//! Row-wise comparison, which diesel lacks: `(a, b) < (x, y)` lets an index bound a keyset page. The long form with OR
//! reads every row of the previous pages.

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::Bool;

/// Declares one comparison of two pairs.
macro_rules! row_compare {
    ($(#[$meta:meta])* $function:ident, $name:ident, $operator:literal) => {
        #[derive(Debug, Clone, Copy, QueryId)]
        pub(crate) struct $name<A, B, X, Y> {
            columns: (A, B),
            values: (X, Y),
        }

        $(#[$meta])*
        pub(crate) const fn $function<A, B, X, Y>(columns: (A, B), values: (X, Y)) -> $name<A, B, X, Y> {
            $name { columns, values }
        }

        impl<A, B, X, Y> Expression for $name<A, B, X, Y> {
            type SqlType = Bool;
        }

        impl<A, B, X, Y, G> ValidGrouping<G> for $name<A, B, X, Y> {
            type IsAggregate = is_aggregate::No;
        }

        impl<T, A: AppearsOnTable<T>, B: AppearsOnTable<T>, X, Y> AppearsOnTable<T> for $name<A, B, X, Y> {}

        impl<T, A: SelectableExpression<T>, B: SelectableExpression<T>, X, Y> SelectableExpression<T>
            for $name<A, B, X, Y>
        {
        }

        impl<DB, A, B, X, Y> QueryFragment<DB> for $name<A, B, X, Y>
        where
            DB: Backend,
            A: QueryFragment<DB>,
            B: QueryFragment<DB>,
            X: QueryFragment<DB>,
            Y: QueryFragment<DB>,
        {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.push_sql("(");
                self.columns.0.walk_ast(out.reborrow())?;
                out.push_sql(", ");
                self.columns.1.walk_ast(out.reborrow())?;
                out.push_sql(concat!(") ", $operator, " ("));
                self.values.0.walk_ast(out.reborrow())?;
                out.push_sql(", ");
                self.values.1.walk_ast(out.reborrow())?;
                out.push_sql(")");
                Ok(())
            }
        }
    };
}

row_compare!(
    /// `(a, b) < (x, y)`.
    before, Before, "<"
);
row_compare!(
    /// `(a, b) > (x, y)`.
    after, After, ">"
);
row_compare!(
    /// `(a, b) <= (x, y)`.
    up_to, UpTo, "<="
);
