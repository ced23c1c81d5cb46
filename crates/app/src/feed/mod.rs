//! The tail of the change feed: one per instance reads the feed and distributes every event to the watchers that want it.

pub(crate) mod cursor;
pub(crate) mod hub;
pub(crate) mod queue;
