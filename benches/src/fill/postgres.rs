//! Filling of Postgres with COPY.

use std::fmt::Write as _;
use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::{Client, NoTls};

use crate::database::COUNT;
use crate::message::{
    CONVERSATION_EPOCH_MS, ConversationSet, DELIVERED_AFTER_MS, EPOCH_MS, OWNER, SENDER, SENDER_ID,
    SENT_AFTER_MS, USERS, body, conversation_id, message_id, order, provider_message_id, recipient,
    time,
};

/// Bytes of text sent to the server at a time.
const CHUNK: usize = 256 * 1024;

const COPY: &str = "COPY messages (id, owner, conversation_id, sequence, channel, direction, status, from_address, \
    to_address, cc_addresses, subject, body, html_body, attachments, provider, provider_message_id, attempt, segments, \
    metadata, other_fields, counts_unread, sent_at, delivered_at, created_at, updated_at, version, edit_version) FROM STDIN";

/// Runs statements.
pub(crate) async fn run(url: &str, statements: &str) {
    let done = connect(url).await.batch_execute(statements).await;
    done.unwrap_or_else(|e| panic!("{e:?}"));
}

pub(crate) async fn connect(url: &str) -> Client {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.expect("the database answers");
    tokio::spawn(connection);
    client
}

pub(crate) async fn fill(url: &str, sets: &[ConversationSet]) {
    let client = connect(url).await;
    let sender = format!(
        "SET synchronous_commit = off;
        INSERT INTO senders (id, owner, channel, address, provider, credentials, status, segments_per_second, reply_domain,
            created_at, updated_at, version)
        VALUES ('{SENDER_ID}', '{OWNER}', 'sms', '{SENDER}', 'simulator', '', 'active', 0, '', now(), now(), 1)"
    );
    let run = async |statement: &str| {
        let done = client.batch_execute(statement).await;
        done.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
    };
    run(&sender).await;
    for set in sets {
        run(&conversations(*set)).await;
        let copied = copy(&client, *set).await;
        copied.unwrap_or_else(|e| panic!("{e:?}"));
    }
    // One after another: VACUUM and CHECKPOINT cannot run in the transaction of a multi-statement query.
    for statement in [COUNT, "VACUUM ANALYZE", "CHECKPOINT"] {
        run(statement).await;
    }
}

fn conversations(set: ConversationSet) -> String {
    let ConversationSet {
        first,
        first_message,
        messages: _,
        length,
    } = set;
    let count = set.count();
    format!(
        "INSERT INTO conversations (id, owner, user_label, channel, participant_from, participant_to, title, status,
            last_sequence, read_sequence, message_count, unread_count, last_message_at, active_at, metadata, created_at,
            updated_at, version, edit_version)
        SELECT (lpad(to_hex({CONVERSATION_EPOCH_MS} + n), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' ||
                lpad(to_hex(n), 15, '0'))::uuid,
            '{OWNER}', 'user-' || n % {USERS}, 'sms', '{SENDER}', '+1212' || lpad(n::text, 7, '0'), '', 'active',
            {length}, 0, {length}, 0, at, at, '{{}}', at, at, {length} + 1, 1
        FROM generate_series({first}::bigint, {first}::bigint + {count} - 1) AS n, to_timestamp(
            {EPOCH_MS}::float8 / 1000 + ({first_message} + (n - {first}) * {length})::float8 / 1000) AS at"
    )
}

async fn copy(client: &Client, set: ConversationSet) -> Result<(), tokio_postgres::Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(COPY).await?);
    let mut text = String::with_capacity(CHUNK + 1024);
    for index in 0..set.messages {
        let conversation = set.first + index / set.length;
        let sequence = index % set.length + 1;
        row(&mut text, set.first_message + index, conversation, sequence);
        if text.len() >= CHUNK {
            sink.feed(std::mem::take(&mut text).into()).await?;
        }
    }
    sink.feed(text.into()).await?;
    sink.finish().await?;
    Ok(())
}

/// Writes a row in the column order of `COPY`.
fn row(text: &mut String, n: u64, conversation: u64, sequence: u64) {
    let (id, conversation_id) = (message_id(n), conversation_id(conversation));
    let (to, body, provider_id) = (recipient(conversation), body(n), provider_message_id(n));
    let metadata = format!(r#"{{"campaign": "autumn", "order": "{}"}}"#, order(n));
    let (created, sent) = (time(n, 0), time(n, SENT_AFTER_MS));
    let delivered = time(n, DELIVERED_AFTER_MS);
    let written = writeln!(
        text,
        "{id}\t{OWNER}\t{conversation_id}\t{sequence}\tsms\toutbound\tdelivered\t{SENDER}\t{to}\t[]\t\t{body}\t\t[]\tsimulator\t\
         {provider_id}\t1\t1\t{metadata}\t{{}}\tf\t{sent}\t{delivered}\t{created}\t{delivered}\t4\t1",
    );
    written.expect("a string takes any text");
}
