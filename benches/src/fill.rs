//! Fills databases past the service, which would take hours for a million messages. The rows are those of messages that
//! were sent and delivered; their jobs, keys and events are long gone.

/// What happened to each message: it was handed over, and arrived.
pub(crate) const STORIES: &str = "\
    INSERT INTO message_events (owner, message_id, time, kind, attempt, provider, provider_time, status, detail) \
        SELECT owner, id, sent_at, 'attempt', 1, provider, NULL, 'sent', '' FROM messages; \
    INSERT INTO message_events (owner, message_id, time, kind, attempt, provider, provider_time, status, detail) \
        SELECT owner, id, delivered_at, 'report', NULL, provider, delivered_at, 'delivered', '' FROM messages";

pub(crate) mod jobs;
pub(crate) mod postgres;
pub(crate) mod sqlite;
