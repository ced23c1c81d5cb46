//! Messages that are due and wait for a dispatcher, on Postgres.

use crate::fill::postgres::connect;
use crate::message::{CONVERSATION_EPOCH_MS, EPOCH_MS, OWNER, SENDER, SENDER_ID};

/// Fills the database with deliveries only, distributed round-robin over conversations; the sender exists. Only the
/// first delivery of a conversation can be claimed, and each other after the previous one is completed.
pub(crate) async fn fill(url: &str, jobs: u64, conversations: u64) {
    // The same as `message::id`.
    let id = |epoch: u64, n: &str| {
        format!(
            "(lpad(to_hex({epoch} + {n}), 12, '0') || '7' || lpad(to_hex(({n}) % 4096), 3, '0') || '8' || \
             lpad(to_hex({n}), 15, '0'))::uuid"
        )
    };
    let conversation = id(CONVERSATION_EPOCH_MS, "n");
    let of_message = id(CONVERSATION_EPOCH_MS, &format!("n % {conversations}"));
    let message = id(EPOCH_MS, "n");
    let statements = [
        "SET synchronous_commit = off".to_owned(),
        "TRUNCATE conversations, messages, message_search, deliveries, message_events, attachments, attachment_chunks, idempotency_keys, imports, feed"
            .to_owned(),
        format!(
            "INSERT INTO conversations (id, owner, user_label, channel, participant_from, participant_to, title, status,
                last_sequence, read_sequence, message_count, unread_count, last_message_at, active_at, metadata, created_at,
                updated_at, version, edit_version)
            SELECT {conversation}, '{OWNER}', 'user-' || n % 1000, 'sms', '{SENDER}', '+1212' || lpad(n::text, 7, '0'), '',
                'active', {jobs} / {conversations} + 1, 0, {jobs} / {conversations} + 1, 0, now(), now(), '{{}}', now(), now(),
                1, 1
            FROM generate_series(0, {conversations}::bigint - 1) AS n"
        ),
        format!(
            "INSERT INTO messages (id, owner, conversation_id, sequence, channel, direction, status, from_address, to_address,
                cc_addresses, subject, body, html_body, attachments, provider, attempt, segments, metadata, other_fields,
                counts_unread, created_at, updated_at, version, edit_version)
            SELECT {message}, '{OWNER}', {of_message}, n / {conversations} + 1, 'sms', 'outbound', 'pending', '{SENDER}',
                '+1212' || lpad((n % {conversations})::text, 7, '0'), '[]', '', 'Your order A-' || lpad(n::text, 8, '0') ||
                ' left our warehouse today and arrives tomorrow between 9 and 12. Reply STOP to hear no more of it. Thank you \
for buying from us!', '', '[]', 'simulator', 0, 1, '{{}}', '{{}}', false, now(), now(), 1, 1
            FROM generate_series(0, {jobs}::bigint - 1) AS n"
        ),
        format!(
            "INSERT INTO deliveries (message_id, owner, conversation_id, sequence, sender_id, channel, provider, state,
                attempt, blocked, generation, due_at, created_at)
            SELECT {message}, '{OWNER}', {of_message}, n / {conversations} + 1, '{SENDER_ID}', 'sms', 'simulator', 'waiting',
                0, n >= {conversations}, (SELECT generation FROM installation), at, at
            FROM generate_series(0, {jobs}::bigint - 1) AS n, LATERAL (SELECT now() - interval '1 hour' + n * interval
                '1 microsecond') AS due (at)"
        ),
        "VACUUM ANALYZE".to_owned(),
        "CHECKPOINT".to_owned(),
    ];
    let client = connect(url).await;
    for statement in statements {
        let done = client.batch_execute(&statement).await;
        done.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
    }
}
