//! Search on Postgres: sets of terms under a GIN index, and the newest messages by their time.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, BoxedSqlQuery, Query, QueryFragment, QueryId, SqlQuery};
use diesel::sql_types::{BigInt, Text, Untyped};
use diesel_async::RunQueryDsl;
use parlance_domain::search::Terms;

use super::dialect::{Conn, Db};
use crate::fields::sql::{TermSet, TimestampColumn, Uid};
use crate::fields::{Id, Instant, Lexemes};
use crate::fragments::prepared::prepared;
use crate::rows::feed::NewFeedRow;
use crate::rows::search::{IndexRow, MatchRow, MatchRows, SearchRequest};
use crate::schema::feed;

/// How many of the newest messages are scanned before the index is queried: for each wanted match, and at least.
const SCANNED_PER_WANTED: usize = 40;
const SCANNED: usize = 4000;

/// Rows of the index, as one statement writes them; optionally with a second statement after it, in one round trip.
struct IndexInsert<Q> {
    rows: Vec<IndexValues>,
    over_older: bool,
    then: Option<Q>,
}

struct IndexValues {
    message_id: Id,
    owner: String,
    conversation_id: Id,
    created_at: Instant,
    terms: Lexemes,
}

impl From<&IndexRow> for IndexValues {
    fn from(row: &IndexRow) -> Self {
        let IndexRow {
            message_id,
            owner,
            conversation_id,
            created_at,
            terms,
        } = row.clone();
        Self {
            message_id,
            owner,
            conversation_id,
            created_at,
            terms: Lexemes(terms),
        }
    }
}

impl<Q> IndexInsert<Q> {
    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO message_search (message_id, owner, conversation_id, created_at, terms) VALUES ",
        );
        for (at, row) in self.rows.iter().enumerate() {
            out.push_sql(if at == 0 { "(" } else { ", (" });
            out.push_bind_param::<Uid, _>(&row.message_id)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&row.owner)?;
            out.push_sql(", ");
            out.push_bind_param::<Uid, _>(&row.conversation_id)?;
            out.push_sql(", ");
            out.push_bind_param::<TimestampColumn, _>(&row.created_at)?;
            out.push_sql(", ");
            out.push_bind_param::<TermSet, _>(&row.terms)?;
            out.push_sql(")");
        }
        if self.over_older {
            out.push_sql(" ON CONFLICT (message_id) DO UPDATE SET terms = excluded.terms");
        }
        Ok(())
    }
}

impl<Q: QueryFragment<Db>> QueryFragment<Db> for IndexInsert<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        let Some(then) = &self.then else {
            return self.walk(out);
        };
        out.push_sql("WITH indexed AS (");
        self.walk(out.reborrow())?;
        out.push_sql(") ");
        then.walk_ast(out)
    }
}

impl<Q> Query for IndexInsert<Q> {
    type SqlType = Untyped;
}

impl<Q> QueryId for IndexInsert<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

/// Writes rows of the index; replaces existing rows of the same messages.
pub(crate) async fn index(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    write(c, rows, true).await
}

/// Writes rows for new messages, without a lookup of existing rows.
pub(crate) async fn index_new(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    write(c, rows, false).await
}

async fn write(c: &mut Conn, rows: &[IndexRow], over_older: bool) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = IndexInsert::<SqlQuery> {
        rows: rows.iter().map(Into::into).collect(),
        over_older,
        then: None,
    };
    prepared(statement).execute(c).await.map(|_| ())
}

/// Writes the row of one new message together with its feed event.
pub(crate) async fn index_and_append(
    c: &mut Conn,
    row: &IndexRow,
    event: &NewFeedRow,
) -> QueryResult<()> {
    let statement = IndexInsert {
        rows: vec![row.into()],
        over_older: false,
        then: Some(diesel::insert_into(feed::table).values(event.clone())),
    };
    prepared(statement).execute(c).await.map(|_| ())
}

/// Returns matches in the order of their time, newest first.
///
/// The newest messages are scanned first: if the words are common there are enough matches among them, whereas the
/// index would collect all matches. If the scan does not yield enough, the words are rare, and the index returns the
/// matches quickly. With a single statement the planner would assume that the words are independent of one another and
/// of time.
pub(crate) async fn search(c: &mut Conn, request: &SearchRequest) -> QueryResult<MatchRows> {
    let scanned = (request.enough * SCANNED_PER_WANTED).max(SCANNED);
    let found = statement(request, Some(scanned))
        .load::<MatchRow>(c)
        .await?;
    if found.len() >= request.enough {
        return Ok((found, false));
    }
    let everything = request.narrower.is_empty() && request.status.is_none();
    let found = if everything {
        found
    } else {
        statement(request, None).load(c).await?
    };
    let is_last = found.len() < request.limit;
    Ok((found, is_last))
}

type Statement = BoxedSqlQuery<'static, Db, SqlQuery>;

/// SQL text and its parameters, numbered in order. A literal statement is planned each time, for its values.
struct Builder {
    query: Statement,
    count: usize,
}

impl Builder {
    fn push(mut self, text: &str) -> Self {
        self.query = self.query.sql(text);
        self
    }

    fn bind<T, U>(mut self, value: U) -> Self
    where
        T: Send + 'static,
        Db: diesel::sql_types::HasSqlType<T>,
        U: diesel::serialize::ToSql<T, Db> + Send + 'static,
    {
        self.count += 1;
        self.query = self
            .query
            .sql(format!("${}", self.count))
            .bind::<T, U>(value);
        self
    }

    fn text(self, before: &str, value: &str) -> Self {
        self.push(before).bind::<Text, _>(value.to_owned())
    }

    fn texts<const N: usize>(self, conditions: [(&str, Option<&str>); N]) -> Self {
        let add = |builder: Self, (before, value): (&str, Option<&str>)| match value {
            Some(value) => builder.text(before, value),
            None => builder,
        };
        conditions.into_iter().fold(self, add)
    }

    fn time(self, before: &str, value: Option<Instant>) -> Self {
        match value {
            Some(value) => self.push(before).bind::<TimestampColumn, _>(value),
            None => self,
        }
    }

    fn position(self, before: &str, position: Option<(i64, Id)>) -> Self {
        match position {
            Some((at, id)) => self
                .push(before)
                .push("(")
                .bind::<TimestampColumn, _>(Instant(at))
                .push(", ")
                .bind::<Uid, _>(id)
                .push(")"),
            None => self,
        }
    }

    fn number(self, before: &str, value: usize) -> Self {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.push(before).bind::<BigInt, _>(value)
    }
}

/// Builds the search. With `scanned`: the matches among that many of the newest messages. Without: all matches, by the
/// index; `OFFSET 0` keeps the planner from scanning all of them in order instead because of the LIMIT.
fn statement(request: &SearchRequest, scanned: Option<usize>) -> Statement {
    const NEWEST: &str = " ORDER BY s.created_at DESC, s.message_id DESC LIMIT ";
    let begun = Builder {
        query: diesel::sql_query(
            "SELECT (extract(epoch FROM w.created_at) * 1000000)::bigint AS position, w.message_id, m.subject, ",
        )
        .into_boxed(),
        count: 0,
    };
    let head = begun
        .push("substr(m.body, 1, ")
        .bind::<BigInt, _>(request.head)
        .push("::int) AS head, c.title, c.deleted_at IS NULL")
        .text(" AND m.owner = ", &request.owner)
        .texts([
            (" AND c.user_label = ", request.user.as_deref()),
            (" AND m.channel = ", request.channel),
            (" AND m.direction = ", request.direction),
        ])
        .push(" AS shown FROM (SELECT s.message_id, s.conversation_id, s.created_at FROM ");
    let matching = if let Some(scanned) = scanned {
        let newest = head.push("(SELECT s.* FROM message_search s WHERE ");
        let newest = within(newest, request).number(NEWEST, scanned);
        matches(newest.push(") s"), request, " WHERE ")
    } else {
        let inner = head
            .push("(SELECT s.message_id, s.conversation_id, s.created_at FROM message_search s");
        let inner = matches(inner, request, " WHERE ").push(" AND ");
        within(inner, request).push(" OFFSET 0) s")
    };
    matching
        .number(NEWEST, request.limit)
        .push(
            // Each by its key: a planner that expects few rows would otherwise read whole tables.
            ") w CROSS JOIN LATERAL (SELECT * FROM messages m WHERE m.id = w.message_id OFFSET 0) m \
             CROSS JOIN LATERAL (SELECT * FROM conversations c WHERE c.id = w.conversation_id OFFSET 0) c \
             ORDER BY w.created_at DESC, w.message_id DESC",
        )
        .query
}

/// Adds the conditions on owner, time and position.
fn within(builder: Builder, request: &SearchRequest) -> Builder {
    builder
        .text("s.owner = ", &request.owner)
        .time(" AND s.created_at >= ", request.created_after)
        .time(" AND s.created_at < ", request.created_before)
        .position(" AND (s.created_at, s.message_id) < ", request.beyond)
        .position(" AND (s.created_at, s.message_id) <= ", request.from)
        .position(" AND (s.created_at, s.message_id) >= ", request.up_to)
}

/// Adds the conditions on status and terms.
fn matches(builder: Builder, request: &SearchRequest, clause: &str) -> Builder {
    let builder = match request.status {
        Some(status) => builder
            .text(
                " JOIN messages x ON x.id = s.message_id AND x.owner = ",
                &request.owner,
            )
            .push(clause)
            .push("x.status = '")
            .push(status) // word of an enum; literal, so that it is recognized to imply an index's condition
            .push("'"),
        None => builder.push(clause).push("true"),
    };
    if request.narrower.is_empty() {
        builder
    } else {
        let terms = joined(&request.terms, " & ");
        builder.text(" AND s.terms @@ ", &terms).push("::tsquery")
    }
}

/// Joins the terms in quotes; a term contains none.
fn joined(terms: &Terms, separator: &str) -> String {
    let mut text = String::new();
    for term in terms.iter() {
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push('\'');
        text.push_str(term);
        text.push('\'');
    }
    text
}
