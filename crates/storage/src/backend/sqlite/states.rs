//! Messages in a rare state, on SQLite: those that an index finds without reading others.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;

use super::dialect::Db;
use super::statement::{Number, Statement, narrowed};
use crate::rows::search::SearchRequest;

/// The states of the index `messages_resting`; a statement with the literal word is recognized to imply the index's
/// condition.
const RESTING: [&str; 6] = [
    "scheduled",
    "uncertain",
    "undelivered",
    "failed",
    "expired",
    "canceled",
];

/// Where the messages of a state are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// In an index by owner and state.
    Resting,
    /// In an index of messages that providers have, or may have, accepted and have not reported about, of the whole
    /// installation.
    Open,
    /// Among the deliveries of the whole installation.
    Deliveries,
}

impl Source {
    fn of(status: &str) -> Option<Self> {
        match status {
            "sent" => Some(Self::Open),
            "pending" | "sending" => Some(Self::Deliveries),
            _ => RESTING.contains(&status).then_some(Self::Resting),
        }
    }

    /// The table and index to read.
    const fn table(self) -> &'static str {
        match self {
            Self::Resting => "messages m INDEXED BY messages_resting",
            Self::Open => "messages m INDEXED BY messages_open",
            Self::Deliveries => "deliveries d",
        }
    }

    fn condition(self, status: &str) -> String {
        match self {
            Self::Resting => format!("m.status = '{status}' AND m.owner = ?"),
            // Exactly as in the definition of the index.
            Self::Open => "m.status IN ('sent', 'uncertain')".to_owned(),
            Self::Deliveries => "d.state <> 'scheduled'".to_owned(),
        }
    }
}

/// The messages of an owner that are in a state; the source may contain others too.
pub(super) struct StateMessages {
    source: Source,
    status: &'static str,
}

impl StateMessages {
    /// Returns `None` if there may be more than `few`; reads at most as many entries of an index, and one.
    pub(super) fn find(
        c: &mut SqliteConnection,
        request: &SearchRequest,
        status: &'static str,
        few: i64,
    ) -> QueryResult<Option<Self>> {
        let Some(source) = Source::of(status) else {
            return Ok(None);
        };
        let table = source.table();
        let counted = match source {
            // All rows: skipping others could mean reading any number of them.
            Source::Deliveries => format!("SELECT 1 FROM {table}"),
            Source::Resting | Source::Open => {
                format!("SELECT 1 FROM {table} WHERE {}", source.condition(status))
            }
        };
        let counted = format!("SELECT count(*) AS number FROM ({counted} LIMIT ?)");
        let counted = diesel::sql_query(counted).into_boxed::<Db>();
        let counted = match source {
            Source::Resting => counted.bind::<Text, _>(request.owner.clone()),
            Source::Open | Source::Deliveries => counted,
        };
        let Number { number } = counted
            .bind::<BigInt, _>(few.saturating_add(1))
            .get_result(c)?;
        let found = Self { source, status };
        Ok((number <= few && found.are_all(c, request)?).then_some(found))
    }

    /// Whether no message is missing. A message that is under way has a delivery, but the results of a search must not
    /// depend on it.
    fn are_all(&self, c: &mut SqliteConnection, request: &SearchRequest) -> QueryResult<bool> {
        if self.source != Source::Deliveries {
            return Ok(true);
        }
        let query = diesel::sql_query("SELECT count(*) AS number FROM (").into_boxed::<Db>();
        let query = self.numbers(query, request).sql(
            ") l CROSS JOIN message_search n ON n.number = l.number CROSS JOIN messages m ON m.id = n.message_id \
             CROSS JOIN conversations c ON c.id = m.conversation_id WHERE c.deleted_at IS NULL AND ",
        );
        let Number { number } = narrowed(query, request).get_result(c)?;
        Ok(request.counted.is_some_and(|counted| number >= counted))
    }

    /// Selects their numbers.
    pub(super) fn numbers(&self, query: Statement, request: &SearchRequest) -> Statement {
        let Self { source, status } = self;
        let message = match source {
            Source::Resting | Source::Open => "",
            Source::Deliveries => " CROSS JOIN messages m ON m.id = d.message_id",
        };
        let owner = match source {
            Source::Resting => String::new(),
            Source::Open | Source::Deliveries => {
                format!(" AND m.status = '{status}' AND m.owner = ?")
            }
        };
        query
            .sql(format!(
                "SELECT n.number FROM {}{message} CROSS JOIN message_search n ON n.message_id = m.id WHERE {}{owner}",
                source.table(),
                source.condition(status)
            ))
            .bind::<Text, _>(request.owner.clone())
    }
}
