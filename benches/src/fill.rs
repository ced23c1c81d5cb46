//! Filling of databases without the service, which would take hours for a million messages. The rows are those of
//! delivered messages; their deliveries, idempotency keys and feed events have been deleted long ago.

/// SQL that adds the delivery events of each message: it was handed over and delivered.
pub(crate) const DELIVERY_EVENTS: &str = "\
    INSERT INTO message_events (owner, message_id, time, kind, attempt, provider, provider_time, status, detail) \
        SELECT owner, id, sent_at, 'attempt', 1, provider, NULL, 'sent', '' FROM messages; \
    INSERT INTO message_events (owner, message_id, time, kind, attempt, provider, provider_time, status, detail) \
        SELECT owner, id, delivered_at, 'report', NULL, provider, delivered_at, 'delivered', '' FROM messages";

pub(crate) mod jobs;
pub(crate) mod postgres;
pub(crate) mod sqlite;
