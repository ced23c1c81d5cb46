//! One struct per table: what a statement reads or writes, and its conversion from and to the domain.
//!
//! A column with a word of an enum is text; an unknown word is [`StorageError::Inconsistent`].

pub(crate) mod attachment;
pub(crate) mod cache;
pub(crate) mod conversation;
pub(crate) mod deleted_message;
pub(crate) mod delivery;
pub(crate) mod feed;
pub(crate) mod idempotency;
pub(crate) mod import;
pub(crate) mod installation;
pub(crate) mod message;
pub(crate) mod message_event;
pub(crate) mod search;
pub(crate) mod sender;
pub(crate) mod stats;

use crate::error::StorageError;

/// Parses a stored word into its enum variant.
macro_rules! word {
    ($table:literal, $row:expr, $column:ident, $enum:ty) => {
        <$enum>::parse(&$row.$column).ok_or_else(|| {
            crate::error::StorageError::inconsistent($table, stringify!($column), &$row.id.0)
        })
    };
}
pub(crate) use word;

/// Parses the owner of a row.
pub(crate) fn owner(
    table: &'static str,
    name: &str,
    row: impl std::fmt::Display,
) -> Result<parlance_domain::Owner, StorageError> {
    parlance_domain::Owner::parse(name)
        .ok_or_else(|| StorageError::inconsistent(table, "owner", row))
}
