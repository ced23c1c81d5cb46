//! Statements about counters that diesel cannot express. The text is the same for both databases.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text, Untyped};
use parlance_domain::{Conversation, Message};

use crate::fields::{Id, sql::Uid};
use crate::fragments::prepared::portions;
use crate::rows::message::MessageChange;
use crate::rows::stats::{CountRow, between, of_conversation, of_message, sums};

const NUMBERS: &str = "what, channel, status, items, unread_items, unread, tokens";

/// What one write adds to the counters and subtracts from them.
#[derive(Debug, Clone)]
pub(crate) struct Deltas {
    owner: String,
    /// The rows are counted for the current user of this conversation. If the conversation is being deleted when the
    /// statement runs, nothing is added: all its messages were subtracted together. Without a conversation each row
    /// names its user.
    conversation: Option<Id>,
    rows: Vec<(String, CountRow)>,
}

impl Deltas {
    /// Deltas of a conversation that was created, changed or hidden.
    pub(crate) fn of_conversation(
        before: Option<&Conversation>,
        after: Option<&Conversation>,
    ) -> Self {
        let rows = between(before.map(of_conversation), after.map(of_conversation));
        let owner = after.or(before).map(|one| one.owner.as_str());
        Self {
            owner: owner.unwrap_or_default().to_owned(),
            conversation: None,
            rows: owned(rows),
        }
    }

    /// Deltas of a message that was created, changed or removed. Its writer has the conversation lock.
    pub(crate) fn of_message(before: Option<&Message>, after: Option<&Message>) -> Self {
        let rows = between(before.map(of_message), after.map(of_message));
        let one = after.or(before);
        Self {
            owner: one.map_or("", |one| one.owner.as_str()).to_owned(),
            conversation: one.map(|one| Id::from(one.conversation_id)),
            rows: owned(rows),
        }
    }

    /// Deltas of many entities that were created together, each for the user that is named. No other transaction can
    /// move them to another user before this one ends.
    pub(crate) fn of_all<'a>(
        owner: &str,
        rows: impl IntoIterator<Item = (&'a str, CountRow)>,
    ) -> Vec<Self> {
        let rows: Vec<_> = sums(rows)
            .into_iter()
            .map(|(user, row)| (user.to_owned(), row))
            .collect();
        let deltas = portions(&rows).map(|rows| Self {
            owner: owner.to_owned(),
            conversation: None,
            rows: rows.to_vec(),
        });
        deltas.collect()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends the rows; with a condition, only if `written` has a row.
    fn walk<'b, DB>(&'b self, mut out: AstPass<'_, 'b, DB>, if_written: bool) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<Uid>,
        String: ToSql<Text, DB>,
        i64: ToSql<BigInt, DB>,
        Id: ToSql<Uid, DB>,
    {
        out.push_sql("INSERT INTO stat_deltas (owner, user_label, ");
        out.push_sql(NUMBERS);
        out.push_sql(if self.conversation.is_some() {
            ") SELECT c.owner, c.user_label, d.column2, d.column3, d.column4, d.column5, d.column6, d.column7, d.column8 FROM ("
        } else {
            ") SELECT "
        });
        if self.conversation.is_none() {
            out.push_bind_param::<Text, _>(&self.owner)?;
            out.push_sql(", d.column1, d.column2, d.column3, d.column4, d.column5, d.column6, d.column7, d.column8 FROM (");
        }
        for (at, (user, row)) in self.rows.iter().enumerate() {
            let CountRow {
                what,
                channel,
                status,
                items,
                unread_items,
                unread,
                tokens,
            } = row;
            out.push_sql(if at == 0 { "VALUES (" } else { ", (" });
            out.push_bind_param::<Text, _>(user)?;
            for text in [what, channel, status] {
                out.push_sql(", ");
                out.push_bind_param::<Text, _>(text)?;
            }
            for number in [items, unread_items, unread, tokens] {
                out.push_sql(", ");
                out.push_bind_param::<BigInt, _>(number)?;
            }
            out.push_sql(")");
        }
        out.push_sql(") d");
        if if_written {
            out.push_sql(", written");
        }
        if let Some(id) = &self.conversation {
            out.push_sql(", conversations c WHERE c.id = ");
            out.push_bind_param::<Uid, _>(id)?;
            out.push_sql(" AND c.owner = ");
            out.push_bind_param::<Text, _>(&self.owner)?;
            out.push_sql(" AND c.deleted_at IS NULL");
        }
        Ok(())
    }
}

/// The row of a message that is written back, with its deltas.
pub(crate) struct RewriteRow {
    pub(crate) id: Id,
    pub(crate) found_version: i64,
    pub(crate) change: MessageChange,
    pub(crate) deltas: Deltas,
}

fn owned(rows: Vec<(Option<&str>, CountRow)>) -> Vec<(String, CountRow)> {
    let owned = |(user, row): (Option<&str>, CountRow)| (user.unwrap_or_default().to_owned(), row);
    rows.into_iter().map(owned).collect()
}

impl<DB> QueryFragment<DB> for Deltas
where
    DB: Backend + HasSqlType<Uid>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Id: ToSql<Uid, DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.walk(out, false)
    }
}

/// A statement that writes at most one row, together with its deltas, in one round trip; returns how many rows it
/// wrote. On Postgres alone: SQLite cannot nest a writing statement in another, and a second statement costs no round
/// trip there.
#[derive(Debug, Clone)]
pub(crate) struct CountedWrite<Q> {
    pub(crate) statement: Q,
    pub(crate) deltas: Deltas,
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for CountedWrite<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH written AS (");
        self.statement.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING 1), counted AS (");
        self.deltas.walk(out.reborrow(), true)?;
        out.push_sql(") SELECT count(*) FROM written");
        Ok(())
    }
}

/// Moves the counts of a conversation's messages, in a range of its sequence, from one user to another.
#[derive(Debug, Clone)]
pub(crate) struct MovedMessageCounts {
    owner: String,
    conversation: Id,
    above: i64,
    up_to: i64,
    from: String,
    to: Option<String>,
}

impl MovedMessageCounts {
    pub(crate) fn new(found: &Conversation, (above, up_to): (i64, i64), to: Option<&str>) -> Self {
        Self {
            owner: found.owner.as_str().to_owned(),
            conversation: found.id.into(),
            above,
            up_to,
            from: found.user.clone(),
            to: to.map(str::to_owned),
        }
    }
}

impl<DB> QueryFragment<DB> for MovedMessageCounts
where
    DB: Backend + HasSqlType<Uid>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Id: ToSql<Uid, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("INSERT INTO stat_deltas (owner, user_label, ");
        out.push_sql(NUMBERS);
        out.push_sql(
            ") SELECT m.owner, u.column1, m.direction, m.channel, m.status, u.column2 * m.items, 0, 0, \
             u.column2 * m.tokens FROM (SELECT owner, direction, channel, status, count(*) AS items, \
             CAST(coalesce(sum(tokens_used), 0) AS bigint) AS tokens FROM messages WHERE conversation_id = ",
        );
        out.push_bind_param::<Uid, _>(&self.conversation)?;
        out.push_sql(" AND owner = ");
        out.push_bind_param::<Text, _>(&self.owner)?;
        out.push_sql(" AND sequence > ");
        out.push_bind_param::<BigInt, _>(&self.above)?;
        out.push_sql(" AND sequence <= ");
        out.push_bind_param::<BigInt, _>(&self.up_to)?;
        out.push_sql(" GROUP BY owner, direction, channel, status) m CROSS JOIN (VALUES (");
        out.push_bind_param::<Text, _>(&self.from)?;
        out.push_sql(", -1)");
        if let Some(to) = &self.to {
            out.push_sql(", (");
            out.push_bind_param::<Text, _>(to)?;
            out.push_sql(", 1)");
        }
        out.push_sql(") u");
        Ok(())
    }
}

/// All counters of an owner or of one of its users: the totals and the deltas that are not folded into them yet, in one
/// snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    owner: String,
    /// Empty for the whole owner.
    user: String,
}

impl Sums {
    pub(crate) fn of(owner: &str, user: Option<&str>) -> Self {
        Self {
            owner: owner.to_owned(),
            user: user.unwrap_or_default().to_owned(),
        }
    }
}

impl<DB> QueryFragment<DB> for Sums
where
    DB: Backend,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "SELECT what, channel, status, CAST(sum(items) AS bigint) AS items, \
             CAST(sum(unread_items) AS bigint) AS unread_items, CAST(sum(unread) AS bigint) AS unread, \
             CAST(sum(tokens) AS bigint) AS tokens FROM (SELECT ",
        );
        out.push_sql(NUMBERS);
        out.push_sql(" FROM stat_totals WHERE owner = ");
        out.push_bind_param::<Text, _>(&self.owner)?;
        out.push_sql(" AND user_label = ");
        out.push_bind_param::<Text, _>(&self.user)?;
        out.push_sql(" UNION ALL SELECT ");
        out.push_sql(NUMBERS);
        out.push_sql(" FROM stat_deltas WHERE owner = ");
        out.push_bind_param::<Text, _>(&self.owner)?;
        if !self.user.is_empty() {
            out.push_sql(" AND user_label = ");
            out.push_bind_param::<Text, _>(&self.user)?;
        }
        out.push_sql(") n GROUP BY what, channel, status HAVING sum(items) <> 0");
        Ok(())
    }
}

macro_rules! statement {
    ($($name:ident$(<$generic:ident>)? => $type:ty;)*) => {$(
        impl$(<$generic>)? Query for $name$(<$generic>)? {
            type SqlType = $type;
        }

        impl$(<$generic>)? QueryId for $name$(<$generic>)? {
            type QueryId = ();

            const HAS_STATIC_QUERY_ID: bool = false;
        }
    )*};
}

statement! {
    Sums => Untyped;
    CountedWrite<Q> => BigInt;
}
