//! Timestamps as columns, exact to the microsecond on both databases.

use std::io::Write as _;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sqlite::Sqlite;
use parlance_domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::sql;

/// Postgres counts from 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A timestamp, as a column: microseconds since 1970.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    AsExpression,
    FromSqlRow,
    Serialize,
    Deserialize,
)]
#[diesel(sql_type = sql::TimestampColumn)]
pub(crate) struct Instant(pub(crate) i64);

impl From<Timestamp> for Instant {
    fn from(at: Timestamp) -> Self {
        Self(at.as_micros())
    }
}

impl From<Instant> for Timestamp {
    fn from(at: Instant) -> Self {
        Self::from_micros(at.0)
    }
}

impl ToSql<sql::TimestampColumn, Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0.saturating_sub(POSTGRES_EPOCH).to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql::TimestampColumn, Pg> for Instant {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        Ok(Self(micros.saturating_add(POSTGRES_EPOCH)))
    }
}

impl ToSql<sql::TimestampColumn, Sqlite> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<sql::TimestampColumn, Sqlite> for Instant {
    fn from_sql(mut value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(value.read_long()))
    }
}
