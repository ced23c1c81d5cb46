//! Messages.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::RunQueryDsl;

use super::{Conn, Db};
use crate::fields::sql::{TimestampColumn, Uid};
use crate::fields::{Id, Instant};
use crate::fragments::counting::Deltas;
use crate::fragments::keyset::after as behind;
use crate::fragments::prepared::prepared;
use crate::model::message::MessageRange;
use crate::rows::message::{MessageRow, RemovalRow};
use crate::schema::{conversations, messages};

/// The conversation of a message, unless it is being deleted: its messages are hidden from every reader before they are
/// removed.
macro_rules! visible {
    () => {
        conversations::table
            .filter(conversations::id.eq(messages::conversation_id))
            .filter(conversations::deleted_at.is_null())
    };
}

pub(crate) async fn get(c: &mut Conn, owner: &str, id: Id) -> QueryResult<Option<MessageRow>> {
    messages::table
        .filter(messages::id.eq(id))
        .filter(messages::owner.eq(owner))
        .filter(diesel::dsl::exists(visible!()))
        .select(MessageRow::as_select())
        .get_result(c)
        .await
        .optional()
}

pub(crate) async fn by_provider(
    c: &mut Conn,
    owner: &str,
    provider: &str,
    provider_message_id: &str,
) -> QueryResult<Option<MessageRow>> {
    messages::table
        .filter(messages::owner.eq(owner))
        .filter(messages::provider.eq(provider))
        .filter(messages::provider_message_id.eq(provider_message_id))
        .filter(diesel::dsl::exists(visible!()))
        .select(MessageRow::as_select())
        .get_result(c)
        .await
        .optional()
}

pub(crate) async fn batch(c: &mut Conn, owner: &str, ids: Vec<Id>) -> QueryResult<Vec<MessageRow>> {
    messages::table
        .filter(messages::id.eq_any(ids))
        .filter(messages::owner.eq(owner.to_owned()))
        .filter(diesel::dsl::exists(visible!()))
        .select(MessageRow::as_select())
        .load(c)
        .await
}

/// Reads messages of the whole installation that a provider has, or may have, accepted and has not reported about.
pub(crate) async fn open(
    c: &mut Conn,
    provider: &str,
    after: Option<Id>,
    limit: i64,
) -> QueryResult<Vec<MessageRow>> {
    let mut query = messages::table
        .filter(messages::provider.eq(provider.to_owned()))
        .filter(messages::status.eq_any(["sent", "uncertain"]))
        .into_boxed::<Db>();
    if let Some(after) = after {
        query = query.filter(messages::id.gt(after));
    }
    query
        .order(messages::id)
        .limit(limit)
        .select(MessageRow::as_select())
        .load(c)
        .await
}

/// Reads messages of the whole installation that are not under way and were created before `before`, oldest first,
/// after a position.
pub(crate) async fn aged(
    c: &mut Conn,
    before: Instant,
    after: Option<(Instant, Id)>,
    limit: i64,
) -> QueryResult<Vec<(String, Id, Id, Instant)>> {
    let mut query = messages::table
        .filter(messages::created_at.lt(before))
        // Literal: a generic plan does not use the index otherwise.
        .filter(sql::<Bool>(
            "status NOT IN ('scheduled', 'pending', 'sending', 'uncertain')",
        ))
        .into_boxed::<Db>();
    if let Some((created_at, id)) = after {
        let values = (
            created_at.into_sql::<TimestampColumn>(),
            id.into_sql::<Uid>(),
        );
        query = query.filter(behind((messages::created_at, messages::id), values));
    }
    query
        .order((messages::created_at, messages::id))
        .limit(limit)
        .select((
            messages::owner,
            messages::conversation_id,
            messages::id,
            messages::created_at,
        ))
        .load(c)
        .await
}

/// Reads a page of a conversation that is not being deleted; bounded by the index on (conversation, sequence).
pub(crate) async fn page(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    range: MessageRange,
    limit: i64,
) -> QueryResult<Vec<MessageRow>> {
    let MessageRange {
        above,
        below,
        oldest_first,
    } = range;
    let visible = conversations::table
        .filter(conversations::id.eq(conversation))
        .filter(conversations::deleted_at.is_null());
    let mut query = messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner.to_owned()))
        .filter(messages::sequence.gt(above))
        .filter(diesel::dsl::exists(visible))
        .into_boxed::<Db>();
    if let Some(below) = below {
        query = query.filter(messages::sequence.lt(below));
    }
    query = if oldest_first {
        query.order(messages::sequence.asc())
    } else {
        query.order(messages::sequence.desc())
    };
    let list = query.select(MessageRow::as_select());
    first!(limit, of list).load(c).await
}

/// Locks by id, after taking the conversation lock in the same statement.
pub(crate) async fn lock(c: &mut Conn, owner: &str, id: Id) -> QueryResult<Option<MessageRow>> {
    locked!(
        messages::table
            .filter(messages::id.eq(id))
            .filter(messages::owner.eq(owner))
            .filter(diesel::dsl::exists(visible!()))
            .select(MessageRow::as_select()),
        conversation lock on "messages.conversation_id"
    )
    .get_result(c)
    .await
    .optional()
}

/// Counts the messages of a conversation between two sequences, inclusive. The owner is checked on the conversation, so
/// that only the index is read.
pub(crate) async fn count_between(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    (first, last): (i64, i64),
) -> QueryResult<i64> {
    let of_owner = conversations::table
        .filter(conversations::id.eq(conversation))
        .filter(conversations::owner.eq(owner));
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::sequence.ge(first))
        .filter(messages::sequence.le(last))
        .filter(diesel::dsl::exists(of_owner))
        .count()
        .get_result(c)
        .await
}

/// Reads the first sequences of messages that count as unread above a sequence. The owner is checked on the
/// conversation, so that only the index is read.
pub(crate) async fn unread_above(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    sequence: i64,
    limit: i64,
) -> QueryResult<Vec<i64>> {
    let of_owner = conversations::table
        .filter(conversations::id.eq(conversation))
        .filter(conversations::owner.eq(owner));
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::sequence.gt(sequence))
        .filter(messages::counts_unread)
        .filter(diesel::dsl::exists(of_owner))
        .order(messages::sequence)
        .limit(limit)
        .select(messages::sequence)
        .load(c)
        .await
}

/// Reads the sequence of the last inbound message.
pub(crate) async fn last_inbound(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
) -> QueryResult<Option<i64>> {
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner))
        .filter(messages::direction.eq("inbound"))
        .order(messages::sequence.desc())
        .limit(1)
        .select(messages::sequence)
        .get_result(c)
        .await
        .optional()
}

/// Reads the messages with the highest sequences below a sequence: their sequences, ids and creation times.
pub(crate) async fn times_below(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    below: i64,
    limit: i64,
) -> QueryResult<Vec<(i64, Id, Instant)>> {
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner))
        .filter(messages::sequence.lt(below))
        .order(messages::sequence.desc())
        .limit(limit)
        .select((messages::sequence, messages::id, messages::created_at))
        .load(c)
        .await
}

pub(crate) async fn insert(c: &mut Conn, row: &MessageRow, deltas: &Deltas) -> QueryResult<()> {
    let statement = diesel::insert_into(messages::table).values(row.clone());
    write_counted!(c, statement, deltas).map(|_| ())
}

/// Removes it unless it is being handed over; its attachments and its delivery go with it.
pub(crate) async fn delete(
    c: &mut Conn,
    owner: &str,
    id: Id,
    found_version: i64,
    deltas: &Deltas,
) -> QueryResult<bool> {
    let target = messages::table
        .filter(messages::id.eq(id))
        .filter(messages::owner.eq(owner))
        .filter(messages::version.eq(found_version))
        .filter(messages::status.ne_all(["sending", "uncertain"]));
    write_counted!(c, diesel::delete(target), deltas)
}

/// Reads some messages of a conversation that is being deleted.
pub(crate) async fn some_of(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    limit: i64,
) -> QueryResult<Vec<RemovalRow>> {
    let hidden = conversations::table
        .filter(conversations::id.eq(conversation))
        .filter(conversations::deleted_at.is_not_null());
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner))
        .filter(diesel::dsl::exists(hidden))
        .order(messages::sequence)
        .limit(limit)
        .select((
            messages::id,
            messages::direction,
            messages::provider,
            messages::provider_message_id,
            // Neither database reads a long text to find its length. `other_fields` is read, and short in most messages.
            sql::<BigInt>(
                "CAST(octet_length(body) + octet_length(html_body) \
                 + octet_length(CAST(other_fields AS text)) AS bigint)",
            ),
        ))
        .load(c)
        .await
}

/// Removes messages of a conversation that is being deleted.
pub(crate) async fn delete_all(c: &mut Conn, owner: &str, ids: Vec<Id>) -> QueryResult<usize> {
    let target = messages::table
        .filter(messages::id.eq_any(ids))
        .filter(messages::owner.eq(owner.to_owned()));
    diesel::delete(target).execute(c).await
}

/// Reads the sequence of the message that is `steps` after a sequence, if the conversation has so many.
pub(crate) async fn sequence_after(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    above: i64,
    steps: i64,
) -> QueryResult<Option<i64>> {
    let last = messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner))
        .filter(messages::sequence.gt(above))
        .order(messages::sequence)
        .offset(steps.saturating_sub(1))
        .limit(1)
        .select(messages::sequence);
    prepared(last).get_result(c).await.optional()
}
