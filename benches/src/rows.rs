//! The rows.

pub(crate) mod answers;
pub(crate) mod deliveries;
pub(crate) mod hits;
pub(crate) mod import;
pub(crate) mod memory;
pub(crate) mod mix;
pub(crate) mod open;
pub(crate) mod price;
pub(crate) mod reads;
pub(crate) mod retention;
pub(crate) mod search;
pub(crate) mod sends;
pub(crate) mod size;
pub(crate) mod start;
pub(crate) mod stats;
