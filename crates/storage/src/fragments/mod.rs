//! Query fragments that diesel lacks. They are outside of `queries`, which is compiled once per database.

pub(crate) mod counting;
pub(crate) mod keyset;
pub(crate) mod merged;
pub(crate) mod paged;
pub(crate) mod prepared;
