//! Minimal server over Postgres: one prepared SELECT per request, of the same row and columns as the service's.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use parlance_proto::v1;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use tokio::sync::Semaphore;
use tokio_postgres::types::{
    FromSql, IsNull, ToSql, Type, accepts, private::BytesMut, to_sql_checked,
};
use tokio_postgres::{Client, NoTls, Row, Statement};
use tonic::Status;
use uuid::Uuid;

use crate::bare::{self, Answer};
use crate::{child, message};

const SELECT: &str = "SELECT id, owner, conversation_id, sequence, channel, direction, status, from_address, to_address, \
    cc_addresses, subject, body, html_body, attachments, provider, provider_message_id, attempt, error, segments, \
    tokens_used, metadata, other_fields, counts_unread, send_at, expires_at, sent_at, delivered_at, read_at, created_at, \
    updated_at, version, edit_version FROM messages WHERE id = $1 AND owner = $2";

const CHANNELS: [&str; 5] = ["", "sms", "mms", "email", "chat"];
const DIRECTIONS: [&str; 3] = ["", "inbound", "outbound"];
const ROLES: [&str; 4] = ["", "user", "assistant", "system"];
const STATUSES: [&str; 13] = [
    "",
    "scheduled",
    "pending",
    "sending",
    "uncertain",
    "sent",
    "delivered",
    "read",
    "undelivered",
    "failed",
    "expired",
    "canceled",
    "received",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    database: String,
    /// As many as the service's pool has.
    #[arg(long)]
    connections: usize,
}

/// Connections that execute one query at a time, like those of a pool.
struct Pool {
    free: Mutex<Vec<(Client, Statement)>>,
    permits: Semaphore,
}

pub(crate) fn run(args: &Args) {
    child::end_with_parent();
    bare::multi_thread().block_on(async {
        let mut free = Vec::new();
        for _ in 0..args.connections {
            free.push(connect(&args.database).await);
        }
        let pool = Pool {
            permits: Semaphore::new(free.len()),
            free: Mutex::new(free),
        };
        let listener = bare::listen(([127, 0, 0, 1], 0).into());
        child::announce(bare::url(&listener));
        bare::serve(listener, Arc::new(pool)).await;
    });
}

async fn connect(url: &str) -> (Client, Statement) {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.expect("the database accepts connections");
    tokio::spawn(connection);
    let statement = client.prepare(SELECT).await;
    (client, statement.expect("the table exists"))
}

impl Pool {
    async fn row(&self, id: Uuid) -> Result<Option<Row>, Status> {
        let _permit = self.permits.acquire().await;
        let taken = self.free().pop();
        let (client, statement) = taken.ok_or_else(|| Status::internal("no connection"))?;
        let row = client
            .query_opt(&statement, &[&Id(id), &message::OWNER])
            .await;
        self.free().push((client, statement));
        row.map_err(|e| Status::unavailable(e.to_string()))
    }

    fn free(&self) -> MutexGuard<'_, Vec<(Client, Statement)>> {
        self.free.lock()
    }
}

impl Answer for Pool {
    async fn get(&self, id: String) -> Result<v1::Message, Status> {
        let id: Uuid = id
            .parse()
            .map_err(|_| Status::invalid_argument("malformed id"))?;
        let row = self.row(id).await?;
        let row = row.ok_or_else(|| Status::not_found("message not found"))?;
        message(&row).map_err(|e| Status::internal(e.to_string()))
    }
}

/// Decodes every column, also those without a field in the response.
fn message(row: &Row) -> Result<v1::Message, tokio_postgres::Error> {
    let time = |column| {
        let time: Option<std::time::SystemTime> = row.try_get(column)?;
        Ok::<_, tokio_postgres::Error>(time.map(Timestamp::from))
    };
    let text = |column| {
        let text: Option<String> = row.try_get(column)?;
        Ok::<_, tokio_postgres::Error>(text.unwrap_or_default())
    };
    let _owner: &str = row.try_get(1)?;
    let (_attempt, _unread): (i32, bool) = (row.try_get(16)?, row.try_get(22)?);
    let (_attachments, error): (Json, Option<Json>) = (row.try_get(13)?, row.try_get(17)?);
    let other: serde_json::Map<String, serde_json::Value> = row.try_get::<_, Json>(21)?.parsed();
    let role = other.get("role").and_then(serde_json::Value::as_str);
    let quoted = other.get("quoted_body").and_then(serde_json::Value::as_str);
    Ok(v1::Message {
        id: row.try_get::<_, Id>(0)?.0.to_string(),
        conversation_id: row.try_get::<_, Id>(2)?.0.to_string(),
        sequence: row.try_get(3)?,
        channel: number(&CHANNELS, row.try_get(4)?),
        direction: number(&DIRECTIONS, row.try_get(5)?),
        status: number(&STATUSES, row.try_get(6)?),
        role: number(&ROLES, role.unwrap_or_default()),
        from_address: row.try_get(7)?,
        to_address: row.try_get(8)?,
        cc_addresses: row.try_get::<_, Json>(9)?.parsed(),
        subject: row.try_get(10)?,
        body: row.try_get(11)?,
        html_body: row.try_get(12)?,
        quoted_body: quoted.unwrap_or_default().to_owned(),
        attachments: Vec::new(),
        provider: text(14)?,
        provider_message_id: text(15)?,
        error: error.map(|_| v1::MessageError::default()),
        segments: row.try_get(18)?,
        tokens_used: row.try_get(19)?,
        latency_ms: other.get("latency_ms").and_then(serde_json::Value::as_i64),
        metadata: Some(structure(row.try_get::<_, Json>(20)?.parsed())),
        send_at: time(23)?,
        expires_at: time(24)?,
        sent_at: time(25)?,
        delivered_at: time(26)?,
        read_at: time(27)?,
        created_at: time(28)?,
        updated_at: time(29)?,
        version: row.try_get(30)?,
        etag: row.try_get::<_, i64>(31)?.to_string(),
    })
}

fn number(words: &[&str], word: &str) -> i32 {
    let index = words.iter().position(|w| *w == word);
    index.and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
}

fn structure(map: serde_json::Map<String, serde_json::Value>) -> Struct {
    let fields = map.into_iter().map(|(name, json)| (name, value(json)));
    Struct {
        fields: fields.collect(),
    }
}

fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(it) => Kind::BoolValue(it),
        serde_json::Value::Number(it) => Kind::NumberValue(it.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(it) => Kind::StringValue(it),
        serde_json::Value::Array(it) => Kind::ListValue(ListValue {
            values: it.into_iter().map(value).collect(),
        }),
        serde_json::Value::Object(it) => Kind::StructValue(structure(it)),
    };
    Value { kind: Some(kind) }
}

type SqlError = Box<dyn std::error::Error + Sync + Send>;

/// A `uuid`. The driver supports it with a feature, which would change the driver of the whole workspace.
#[derive(Debug)]
struct Id(Uuid);

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, SqlError> {
        Ok(Self(Uuid::from_slice(raw)?))
    }

    accepts!(UUID);
}

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

/// The text of a `jsonb` value, without its version byte.
struct Json<'a>(&'a [u8]);

impl Json<'_> {
    fn parsed<T: serde::de::DeserializeOwned + Default>(&self) -> T {
        serde_json::from_slice(self.0).unwrap_or_default()
    }
}

impl<'a> FromSql<'a> for Json<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, SqlError> {
        Ok(Self(raw.get(1..).unwrap_or_default()))
    }

    accepts!(JSONB);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_enum_values_of_the_contract() {
        let status = |word| v1::MessageStatus::try_from(number(&STATUSES, word));
        assert_eq!(status("delivered"), Ok(v1::MessageStatus::Delivered));
        assert_eq!(status("received"), Ok(v1::MessageStatus::Received));
        assert_eq!(
            v1::Channel::try_from(number(&CHANNELS, "chat")),
            Ok(v1::Channel::Chat)
        );
    }
}
