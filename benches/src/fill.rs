//! Fills databases past the service, which would take hours for a million messages. The rows are those of messages that
//! were sent and delivered; their jobs, keys and events are long gone.

pub(crate) mod jobs;
pub(crate) mod postgres;
pub(crate) mod sqlite;
