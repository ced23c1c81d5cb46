//! The messages in a state, on SQLite, where they are few and can be found without a look at others.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;

use super::sqlite::Db;
use super::sqlite_search::{Number, Statement, narrowed};
use crate::rows::search::Asked;

/// The states of `messages_resting`; a statement with the word in it is seen to imply the index's condition.
const RESTING: [&str; 6] = [
    "scheduled",
    "uncertain",
    "undelivered",
    "failed",
    "expired",
    "canceled",
];

/// Where the messages of a state are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In an index by owner and state.
    Resting,
    /// In an index of what providers have and have not reported about, of the whole installation.
    Open,
    /// Among the jobs of the whole installation.
    Jobs,
}

impl Place {
    fn of(status: &str) -> Option<Self> {
        match status {
            "sent" => Some(Self::Open),
            "pending" | "sending" => Some(Self::Jobs),
            _ => RESTING.contains(&status).then_some(Self::Resting),
        }
    }

    /// What is read to find them.
    const fn table(self) -> &'static str {
        match self {
            Self::Resting => "messages m INDEXED BY messages_resting",
            Self::Open => "messages m INDEXED BY messages_open",
            Self::Jobs => "deliveries d",
        }
    }

    fn condition(self, status: &str) -> String {
        match self {
            Self::Resting => format!("m.status = '{status}' AND m.owner = ?"),
            // As the index says it, word by word.
            Self::Open => "m.status IN ('sent', 'uncertain')".to_owned(),
            Self::Jobs => "d.state <> 'scheduled'".to_owned(),
        }
    }
}

/// The messages of an owner that are in a state, and some others.
pub(super) struct Few {
    place: Place,
    status: &'static str,
    /// They are no more than these.
    pub(super) most: i64,
}

impl Few {
    /// Nothing where they may be more than so many.
    pub(super) fn of(
        c: &mut SqliteConnection,
        asked: &Asked,
        status: &'static str,
        few: i64,
    ) -> QueryResult<Option<Self>> {
        let Some(place) = Place::of(status) else {
            return Ok(None);
        };
        let table = place.table();
        let counted = match place {
            // All: to pass over others would be to look through any number of them.
            Place::Jobs => format!("SELECT 1 FROM {table}"),
            Place::Resting | Place::Open => {
                format!("SELECT 1 FROM {table} WHERE {}", place.condition(status))
            }
        };
        let counted = format!("SELECT count(*) AS number FROM ({counted} LIMIT ?)");
        let counted = diesel::sql_query(counted).into_boxed::<Db>();
        let counted = match place {
            Place::Resting => counted.bind::<Text, _>(asked.owner.clone()),
            Place::Open | Place::Jobs => counted,
        };
        let Number { number: most } = counted
            .bind::<BigInt, _>(few.saturating_add(1))
            .get_result(c)?;
        let found = Self {
            place,
            status,
            most,
        };
        Ok((most <= few && found.are_all(c, asked)?).then_some(found))
    }

    /// Whether none is missing. A message that is under way has a job; but nothing that a search finds may depend on it.
    fn are_all(&self, c: &mut SqliteConnection, asked: &Asked) -> QueryResult<bool> {
        if self.place != Place::Jobs {
            return Ok(true);
        }
        let query = diesel::sql_query("SELECT count(*) AS number FROM (").into_boxed::<Db>();
        let query = self.numbers(query, asked).sql(
            ") l CROSS JOIN message_search n ON n.number = l.number CROSS JOIN messages m ON m.id = n.message_id \
             CROSS JOIN conversations c ON c.id = m.conversation_id WHERE c.deleted_at IS NULL AND ",
        );
        let Number { number } = narrowed(query, asked).get_result(c)?;
        Ok(asked.counted.is_some_and(|counted| number >= counted))
    }

    /// Their numbers. More conditions may follow.
    pub(super) fn numbers(&self, query: Statement, asked: &Asked) -> Statement {
        let Self {
            place,
            status,
            most: _,
        } = self;
        let message = match place {
            Place::Resting | Place::Open => "",
            Place::Jobs => " CROSS JOIN messages m ON m.id = d.message_id",
        };
        let owner = match place {
            Place::Resting => String::new(),
            Place::Open | Place::Jobs => format!(" AND m.status = '{status}' AND m.owner = ?"),
        };
        query
            .sql(format!(
                "SELECT n.number FROM {}{message} CROSS JOIN message_search n ON n.message_id = m.id WHERE {}{owner}",
                place.table(),
                place.condition(status)
            ))
            .bind::<Text, _>(asked.owner.clone())
    }
}
