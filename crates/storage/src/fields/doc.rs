//! JSON documents as columns. No SQL reads inside them.

use std::io::Write as _;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Serialize};

use super::sql;

/// The version byte before the text of a `jsonb`.
const JSONB_VERSION: u8 = 1;

/// A JSON text, as a column.
#[derive(Clone, Debug, PartialEq, Eq, AsExpression, FromSqlRow, Serialize, Deserialize)]
#[diesel(sql_type = sql::Document)]
pub(crate) struct Doc(pub(crate) String);

impl Doc {
    /// Serializes a value. The values here have string keys and finite numbers, so it cannot fail.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
    }

    /// Returns the text as it was written: without blanks, members sorted by name. Postgres returns an object in its
    /// own form, and what is read must equal what was written, or an edit that changes nothing would count as a change.
    pub(crate) fn into_canonical(self) -> String {
        // Postgres puts a blank after the name of each member.
        if !self.0.contains("\": ") {
            return self.0;
        }
        match serde_json::from_str::<serde_json::Value>(&self.0) {
            Ok(value) => value.to_string(),
            // The conversion to the API reports it.
            Err(_) => self.0,
        }
    }
}

impl ToSql<sql::Document, Pg> for Doc {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Document, Pg> for Doc {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes().split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Self(std::str::from_utf8(text)?.to_owned())),
            _ => Err("unsupported jsonb encoding".into()),
        }
    }
}

impl ToSql<sql::Document, Sqlite> for Doc {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_str());
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Document, Sqlite> for Doc {
    fn from_sql(mut value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(value.read_text().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Doc;

    #[test]
    fn a_postgres_document_is_canonicalized() {
        let ours = r#"{"":true,"a":": ","bb":[1,-1.5e-300],"c":{"d":null}}"#;
        let theirs = format!(
            r#"{{"": true, "a": ": ", "c": {{"d": null}}, "bb": [1, -0.{}15]}}"#,
            "0".repeat(299)
        );
        for text in [ours, &theirs] {
            assert_eq!(Doc(text.to_owned()).into_canonical(), ours);
        }
        for text in ["{}", "[]", r#"{"broken": "#] {
            assert_eq!(Doc(text.to_owned()).into_canonical(), text);
        }
    }
}
