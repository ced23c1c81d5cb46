//! Search terms of a message, as a column of Postgres.

use std::io::Write as _;

use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use parlance_domain::search::Terms;

use super::sql;

/// The end of a term's text, and the number of its positions: none.
const END: [u8; 3] = [0; 3];

/// Terms in the binary form of a `tsvector`: already in the order that Postgres requires, so that it neither parses nor
/// sorts.
#[derive(Clone, Debug, AsExpression)]
#[diesel(sql_type = sql::TermSet)]
pub(crate) struct Lexemes(pub(crate) Terms);

impl ToSql<sql::TermSet, Pg> for Lexemes {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let Self(terms) = self;
        out.write_all(&i32::try_from(terms.len())?.to_be_bytes())?;
        for term in terms.iter() {
            out.write_all(term.as_bytes())?;
            out.write_all(&END)?;
        }
        Ok(IsNull::No)
    }
}
