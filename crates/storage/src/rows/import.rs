//! Progress of imports.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};

use crate::fields::{Doc, Id, Instant};
use crate::schema::{imports, messages};

/// How many messages of a conversation were imported.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = imports, check_for_backend(Pg, Sqlite))]
pub(crate) struct ImportRow {
    pub(crate) conversation_id: Id,
    pub(crate) owner: String,
    pub(crate) messages: i64,
}

/// The columns of a message that decide whether an imported one is the same.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = messages, check_for_backend(Pg, Sqlite))]
pub(crate) struct ComparableRow {
    pub(crate) created_at: Instant,
    pub(crate) direction: String,
    pub(crate) body: String,
    pub(crate) metadata: Doc,
    pub(crate) other_fields: Doc,
}
