//! Filling of `SQLite` with statements that generate the rows.

use std::path::Path;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::sqlite::SqliteConnection;

use crate::database::COUNT;
use crate::message::{
    CONVERSATION_EPOCH_MS, ConversationSet, DELIVERED_AFTER_MS, EPOCH_MS, OWNER, SENDER, SENDER_ID,
    SENT_AFTER_MS, USERS,
};

/// Runs statements.
pub(crate) fn run(path: &Path, statements: &str) {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).expect("a file");
    let done = connection.batch_execute(statements);
    done.unwrap_or_else(|e| panic!("{e}"));
}

/// SQL of an id with the format of version 7, the same as `message::id`.
fn id(epoch_ms: u64, n: &str) -> String {
    format!("unhex(printf('%012x7%03x8%015x', {epoch_ms} + {n}, ({n}) % 4096, {n}))")
}

pub(crate) fn fill(path: &Path, sets: &[ConversationSet]) {
    let sender_id = SENDER_ID.simple();
    let sets: String = sets.iter().map(|set| rows(*set)).collect();
    let statements = format!(
        "PRAGMA synchronous = OFF;
        BEGIN;
        INSERT INTO senders (id, owner, channel, address, provider, credentials, status, segments_per_second, reply_domain,
            created_at, updated_at, version)
        VALUES (x'{sender_id}', '{OWNER}', 'sms', '{SENDER}', 'simulator', '', 'active', 0, '', {EPOCH_MS}000,
            {EPOCH_MS}000, 1);
        {sets}
        {COUNT};
        COMMIT;
        PRAGMA wal_checkpoint(TRUNCATE);"
    );
    run(path, &statements);
    // Writes everything to disk now, so that the kernel does not write it back during a measurement.
    let file = std::fs::File::open(path).expect("the database is a file");
    file.sync_all().expect("the database goes to disk");
}

/// Returns the statements that generate the rows.
fn rows(set: ConversationSet) -> String {
    let ConversationSet {
        first,
        first_message,
        messages,
        length,
    } = set;
    let (conversations, behind) = (first + set.count(), first_message + messages);
    let conversation_id = id(CONVERSATION_EPOCH_MS, "n");
    let number = format!("{first} + (n - {first_message}) / {length}");
    let conversation_of_message = id(CONVERSATION_EPOCH_MS, &format!("({number})"));
    let message_id = id(EPOCH_MS, "n");
    let (sent, delivered) = (SENT_AFTER_MS * 1000, DELIVERED_AFTER_MS * 1000);
    format!(
        "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {conversations})
        INSERT INTO conversations (id, owner, user_label, channel, participant_from, participant_to, title, status,
            last_sequence, read_sequence, message_count, unread_count, last_message_at, active_at, metadata, created_at,
            updated_at, version, edit_version)
        SELECT {conversation_id}, '{OWNER}', 'user-' || (n % {USERS}), 'sms', '{SENDER}', printf('+1212%07d', n), '', 'active',
            {length}, 0, {length}, 0, at, at, '{{}}', at, at, {length} + 1, 1
        FROM (SELECT n, ({EPOCH_MS} + {first_message} + (n - {first}) * {length}) * 1000 AS at FROM numbers);
        WITH RECURSIVE numbers (n) AS (SELECT {first_message} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {behind})
        INSERT INTO messages (id, owner, conversation_id, sequence, channel, direction, status, from_address, to_address,
            cc_addresses, subject, body, html_body, attachments, provider, provider_message_id, attempt, segments, metadata,
            other_fields, counts_unread, sent_at, delivered_at, created_at, updated_at, version, edit_version)
        SELECT {message_id}, '{OWNER}', {conversation_of_message}, (n - {first_message}) % {length} + 1, 'sms', 'outbound',
            'delivered', '{SENDER}', printf('+1212%07d', {number}), '[]', '',
            printf('Your order A-%08d left our warehouse today and arrives tomorrow between 9 and 12. Reply STOP to hear no \
more of it. Thank you for buying from us!', n), '', '[]', 'simulator', printf('SM%032x', n), 1, 1,
            printf('{{\"campaign\":\"autumn\",\"order\":\"A-%08d\"}}', n), '{{}}', 0, at + {sent}, at + {delivered},
            at, at + {delivered}, 4, 1
        FROM (SELECT n, ({EPOCH_MS} + n) * 1000 AS at FROM numbers);
        "
    )
}

#[cfg(test)]
mod tests {
    use diesel::dsl::sql;
    use diesel::sql_types::Text;
    use diesel::{RunQueryDsl as _, select};
    use parlance_testkit::SqliteFile;

    use super::*;
    use crate::database::migrations;
    use crate::message;

    #[test]
    fn the_rows_match_the_requests_of_the_load_generator() {
        let file = SqliteFile::new();
        run(file.path(), &migrations("sqlite"));
        // The second is longer than the 100 messages of a conversation, and its numbers exceed the twelve bits in an
        // id.
        fill(
            file.path(),
            &[ConversationSet::short(4_300), ConversationSet::long(4_300)],
        );
        let mut connection = SqliteConnection::establish(&file.path().to_string_lossy()).unwrap();
        let mut row = |n: u64| -> String {
            let id = message::message_id(n).simple();
            let query = format!(
                "(SELECT lower(hex(m.id)) || lower(hex(c.id)) || m.sequence || m.body || m.provider_message_id || m.to_address \
                FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.id = x'{id}')"
            );
            let row = select(sql::<Text>(&query)).get_result(&mut connection);
            row.unwrap()
        };
        let expected = |n: u64, conversation: u64, sequence: u64| {
            let parts = [
                message::message_id(n).simple().to_string(),
                message::conversation_id(conversation).simple().to_string(),
                sequence.to_string(),
                message::body(n),
                message::provider_message_id(n),
                message::recipient(conversation),
            ];
            parts.concat()
        };
        assert_eq!(row(4_299), expected(4_299, 42, 100));
        assert_eq!(row(4_300), expected(4_300, 43, 1));
        assert_eq!(row(8_599), expected(8_599, 43, 4_300));
    }
}
