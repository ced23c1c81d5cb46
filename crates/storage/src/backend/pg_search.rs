//! Search on Postgres: sets of terms under a GIN index, and the newest messages by their time.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, BoxedSqlQuery, Query, QueryFragment, QueryId, SqlQuery};
use diesel::sql_types::{BigInt, Text, Untyped};
use diesel_async::RunQueryDsl;
use parlance_domain::search::Terms;

use super::pg::{Conn, Db};
use crate::fields::sql::{Moment, TermSet, Uid};
use crate::fields::{Id, Instant, Lexemes};
use crate::prepared::prepared;
use crate::rows::feed::NewFeedRow;
use crate::rows::search::{Asked, Found, FoundRow, IndexRow};
use crate::schema::feed;

/// How many of the newest messages are looked through before the index is asked, for each that is wanted and at least.
const SCANNED_PER_WANTED: usize = 40;
const SCANNED: usize = 4000;

/// Rows of the index, as one statement writes them; with another statement after it, in one round trip.
struct Indexed<Q> {
    rows: Vec<Written>,
    over_older: bool,
    then: Option<Q>,
}

struct Written {
    message_id: Id,
    owner: String,
    conversation_id: Id,
    created_at: Instant,
    terms: Lexemes,
}

impl From<&IndexRow> for Written {
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

impl<Q> Indexed<Q> {
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
            out.push_bind_param::<Moment, _>(&row.created_at)?;
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

impl<Q: QueryFragment<Db>> QueryFragment<Db> for Indexed<Q> {
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

impl<Q> Query for Indexed<Q> {
    type SqlType = Untyped;
}

impl<Q> QueryId for Indexed<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

/// Writes rows of the index, over older ones of the same messages.
pub(crate) async fn index(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    write(c, rows, true).await
}

/// The same for new messages: nothing is looked for that may have to give way.
pub(crate) async fn index_new(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    write(c, rows, false).await
}

async fn write(c: &mut Conn, rows: &[IndexRow], over_older: bool) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = Indexed::<SqlQuery> {
        rows: rows.iter().map(Into::into).collect(),
        over_older,
        then: None,
    };
    prepared(statement).execute(c).await.map(|_| ())
}

/// The same for one new message together with its event.
pub(crate) async fn index_and_append(
    c: &mut Conn,
    row: &IndexRow,
    event: &NewFeedRow,
) -> QueryResult<()> {
    let statement = Indexed {
        rows: vec![row.into()],
        over_older: false,
        then: Some(diesel::insert_into(feed::table).values(event.clone())),
    };
    prepared(statement).execute(c).await.map(|_| ())
}

/// Matches in the order of their time, newest first.
///
/// The newest messages are looked through first: where the words are common there are enough matches among them, and an index
/// of words would have to collect all there are. Where that does not yield enough they are rare, and the index has them at
/// once. Left alone with one statement the planner would take the words for independent of one another and of time.
pub(crate) async fn search(c: &mut Conn, asked: &Asked) -> QueryResult<Found> {
    let scanned = (asked.enough * SCANNED_PER_WANTED).max(SCANNED);
    let found = statement(asked, Some(scanned)).load::<FoundRow>(c).await?;
    if found.len() >= asked.enough {
        return Ok((found, false));
    }
    let everything = asked.narrower.is_empty() && asked.status.is_none();
    let found = if everything {
        found
    } else {
        statement(asked, None).load(c).await?
    };
    let is_last = found.len() < asked.limit;
    Ok((found, is_last))
}

type Statement = BoxedSqlQuery<'static, Db, SqlQuery>;

/// Text and its parameters, which are numbered as they come. A literal statement is planned anew each time, for its values.
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
            Some(value) => self.push(before).bind::<Moment, _>(value),
            None => self,
        }
    }

    fn place(self, before: &str, place: Option<(i64, Id)>) -> Self {
        match place {
            Some((at, id)) => self
                .push(before)
                .push("(")
                .bind::<Moment, _>(Instant(at))
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

/// With a number of messages: those of the newest that match. Without one: those of all that match, by the index; `OFFSET 0`
/// keeps the planner from walking through all of them in their order instead, for the sake of the LIMIT.
fn statement(asked: &Asked, scanned: Option<usize>) -> Statement {
    const NEWEST: &str = " ORDER BY s.created_at DESC, s.message_id DESC LIMIT ";
    let begun = Builder {
        query: diesel::sql_query(
            "SELECT (extract(epoch FROM w.created_at) * 1000000)::bigint AS place, w.message_id, m.subject, ",
        )
        .into_boxed(),
        count: 0,
    };
    let head = begun
        .push("substr(m.body, 1, ")
        .bind::<BigInt, _>(asked.head)
        .push("::int) AS head, c.title, c.deleted_at IS NULL")
        .text(" AND m.owner = ", &asked.owner)
        .texts([
            (" AND c.user_label = ", asked.user.as_deref()),
            (" AND m.channel = ", asked.channel),
            (" AND m.direction = ", asked.direction),
        ])
        .push(" AS shown FROM (SELECT s.message_id, s.conversation_id, s.created_at FROM ");
    let matching = if let Some(scanned) = scanned {
        let newest = head.push("(SELECT s.* FROM message_search s WHERE ");
        let newest = within(newest, asked).number(NEWEST, scanned);
        matches(newest.push(") s"), asked, " WHERE ")
    } else {
        let inner = head
            .push("(SELECT s.message_id, s.conversation_id, s.created_at FROM message_search s");
        let inner = matches(inner, asked, " WHERE ").push(" AND ");
        within(inner, asked).push(" OFFSET 0) s")
    };
    matching
        .number(NEWEST, asked.limit)
        .push(
            // Each by its key: a planner that has few rows before it reads whole tables.
            ") w CROSS JOIN LATERAL (SELECT * FROM messages m WHERE m.id = w.message_id OFFSET 0) m \
             CROSS JOIN LATERAL (SELECT * FROM conversations c WHERE c.id = w.conversation_id OFFSET 0) c \
             ORDER BY w.created_at DESC, w.message_id DESC",
        )
        .query
}

/// The stretch of the owner's messages.
fn within(builder: Builder, asked: &Asked) -> Builder {
    builder
        .text("s.owner = ", &asked.owner)
        .time(" AND s.created_at >= ", asked.created_after)
        .time(" AND s.created_at < ", asked.created_before)
        .place(" AND (s.created_at, s.message_id) < ", asked.beyond)
        .place(" AND (s.created_at, s.message_id) <= ", asked.from)
        .place(" AND (s.created_at, s.message_id) >= ", asked.up_to)
}

/// What a message must be like.
fn matches(builder: Builder, asked: &Asked, clause: &str) -> Builder {
    let builder = match asked.status {
        Some(status) => builder
            .text(
                " JOIN messages x ON x.id = s.message_id AND x.owner = ",
                &asked.owner,
            )
            .push(clause)
            .push("x.status = '")
            .push(status) // a word of an enum, in the text so that it is seen to imply an index's condition
            .push("'"),
        None => builder.push(clause).push("true"),
    };
    if asked.narrower.is_empty() {
        builder
    } else {
        let terms = joined(&asked.terms, " & ");
        builder.text(" AND s.terms @@ ", &terms).push("::tsquery")
    }
}

/// Each in quotes; there are none in a term.
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
