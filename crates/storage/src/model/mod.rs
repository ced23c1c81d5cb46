//! Parameters and results of the API that are not domain types.

pub(crate) mod touched;
pub(crate) mod url;
