//! Rebuilds the whole search index: once after the migration that creates it, and after a change of the search
//! language.
//!
//! Part of `migrate`, under the same lock. Each conversation is locked while it is indexed, so a concurrent write
//! happens either before or after it. A process that still runs with another language writes terms of that language:
//! such processes must be stopped first.

use diesel::Connection as _;
use diesel::sqlite::SqliteConnection;
use parlance_domain::Conversation;
use parlance_domain::search::Language;

use crate::conn::open::connect;
use crate::conn::{Database, PooledConnection};
use crate::db::search::index_batch;
use crate::error::{StorageError, StorageResult};
use crate::model::settings::Settings;
use crate::model::url::DatabaseUrl;
use crate::rows::search::IndexContext;

/// Edition of the tokenizer. Raise it when the code splits text into words differently, so that existing terms are
/// rebuilt.
const EDITION: u32 = 1;
/// Conversations that one transaction locks.
const CONVERSATIONS_PER_TRANSACTION: i64 = 50;

/// Returns the edition of the index for a language.
fn edition(language: Language) -> String {
    format!("{language} {EDITION}")
}

impl Database {
    /// Returns the edition of the index that this process writes and queries. An index of another edition returns other
    /// messages.
    pub fn search_edition(&self) -> String {
        edition(self.search_language)
    }
}

/// Returns how many messages would be indexed if the index is of another edition. Changes nothing and opens no pool.
pub(crate) async fn pending(settings: &Settings) -> StorageResult<Option<i64>> {
    let (made_by, messages) = match &settings.url {
        DatabaseUrl::Postgres(url) => {
            use crate::backend::pg::queries as q;
            let mut c = connect(url, settings).await?;
            (
                q::search::made_by(&mut c).await?,
                q::search::count_messages(&mut c).await?,
            )
        }
        DatabaseUrl::Sqlite(path) => {
            use crate::backend::sqlite::{Conn, queries as q};
            let c = SqliteConnection::establish(&path.to_string_lossy());
            let c = c.map_err(|e| StorageError::Unavailable(e.to_string()))?;
            let mut c = Conn::new(c);
            (
                q::search::made_by(&mut c).await?,
                q::search::count_messages(&mut c).await?,
            )
        }
    };
    let is_current = made_by == edition(settings.search_language);
    Ok((!is_current).then_some(messages))
}

/// Rebuilds the index if it is of another edition, and returns how many messages were indexed. After an interruption
/// the next call starts again from the beginning.
pub(crate) async fn apply(settings: &Settings) -> StorageResult<Option<i64>> {
    let database = open(settings).await?;
    let edition = edition(settings.search_language);
    if read!(database, |c, q| q::search::made_by(c))? == edition {
        return Ok(None);
    }
    let (mut after, mut indexed) = (None, 0);
    loop {
        let mut connection = database.writer().await?;
        let rows = on!(connection, |c, q| q::search::lock_some(
            c,
            after,
            CONVERSATIONS_PER_TRANSACTION
        ))?;
        let Some(last) = rows.last().map(|row| row.id) else {
            on!(connection, |c, q| q::search::set_made_by(c, &edition))?;
            connection.commit().await?;
            return Ok(Some(indexed));
        };
        after = Some(last);
        for row in rows {
            let conversation = Conversation::try_from(row)?;
            indexed += index_conversation(&mut connection, &conversation, database.search_language)
                .await?;
        }
        connection.commit().await?;
    }
}

/// One connection is enough: the database is opened for this alone.
async fn open(settings: &Settings) -> StorageResult<Database> {
    let few = Settings {
        pool_size: 1,
        ..settings.clone()
    };
    Database::open(&few).await
}

async fn index_conversation(
    connection: &mut PooledConnection,
    conversation: &Conversation,
    language: Language,
) -> StorageResult<i64> {
    let context = IndexContext {
        owner: &conversation.owner,
        user: &conversation.user,
        title: &conversation.title,
        language,
    };
    let (mut indexed, mut below) = (0, i64::MAX);
    loop {
        let batch = index_batch(connection, conversation.id, context, below).await?;
        indexed += batch.messages;
        match batch.next {
            Some(next) => below = next,
            None => return Ok(indexed),
        }
    }
}
