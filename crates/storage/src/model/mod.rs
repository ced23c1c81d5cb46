//! Parameters and results of the API that are not domain types. The API re-exports them: those of an entity beside its
//! reads and writes in `db`, the others at the root of the crate.

pub(crate) mod attachment;
pub(crate) mod cache;
pub(crate) mod conversation;
pub(crate) mod delivery;
pub(crate) mod delivery_event;
pub(crate) mod feed;
pub(crate) mod guarded;
pub(crate) mod idempotency;
pub(crate) mod import;
pub(crate) mod message;
pub(crate) mod outcomes;
pub(crate) mod ownership;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod stats;
pub(crate) mod touched;
pub(crate) mod url;
