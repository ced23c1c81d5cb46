//! SQL types that exist on both databases, each with its Rust value.
//!
//! Numeric OIDs, so that diesel-async never looks a type up in `pg_type`.

mod doc;
mod id;
mod instant;
mod lexemes;
mod xid;

pub(crate) use doc::Doc;
pub(crate) use id::Id;
pub(crate) use instant::Instant;
pub(crate) use lexemes::Lexemes;
pub(crate) use xid::Xid;

/// The SQL side of the types.
pub(crate) mod sql {
    use diesel::query_builder::QueryId;
    use diesel::sql_types::SqlType;

    /// `uuid` / 16 bytes.
    #[derive(Clone, Copy, Debug, QueryId, SqlType)]
    #[diesel(
        postgres_type(oid = 2950, array_oid = 2951),
        sqlite_type(name = "Binary")
    )]
    pub struct Uid;

    /// `timestamptz` / microseconds since 1970.
    #[derive(Clone, Copy, Debug, QueryId, SqlType)]
    #[diesel(
        postgres_type(oid = 1184, array_oid = 1185),
        sqlite_type(name = "Long")
    )]
    pub struct TimestampColumn;

    /// `jsonb` / text.
    #[derive(Clone, Copy, Debug, QueryId, SqlType)]
    #[diesel(
        postgres_type(oid = 3802, array_oid = 3807),
        sqlite_type(name = "Text")
    )]
    pub struct Document;

    /// `tsvector`, on Postgres alone.
    #[derive(Clone, Copy, Debug, QueryId, SqlType)]
    #[diesel(postgres_type(oid = 3614, array_oid = 3643))]
    pub struct TermSet;

    /// `xid8` / integer, always 0.
    #[derive(Clone, Copy, Debug, QueryId, SqlType)]
    #[diesel(postgres_type(oid = 5069, array_oid = 271), sqlite_type(name = "Long"))]
    pub struct TransactionId;

    impl diesel::sql_types::SqlOrd for TimestampColumn {}
}
