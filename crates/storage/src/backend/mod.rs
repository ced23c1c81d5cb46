//! The two databases. Each defines its connection type and the few statements that are specific to it, and then
//! compiles the one set of query files for itself.

pub(crate) mod pg;
pub(crate) mod sqlite;
