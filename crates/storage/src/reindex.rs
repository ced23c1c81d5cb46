//! The whole index of messages, made or made anew: once after the migration that brings it, and after a change of the language.
//!
//! Part of what `migrate` does, under the same lock. Conversations are locked in their turn, so whoever writes to one at the
//! same time finds it done before or does it after. A process that still runs with another language writes terms of that
//! one: such processes are stopped first.

use diesel::Connection as _;
use diesel::sqlite::SqliteConnection;
use parlance_domain::Conversation;
use parlance_domain::search::Language;

use crate::conn::{Database, Lease, Settings};
use crate::db::search::index_batch;
use crate::error::{StorageError, StorageResult};
use crate::migrate::connect;
use crate::rows::search::Around;
use crate::url::DatabaseUrl;

/// Raised when what a word is changes in the code, so that existing terms are made anew.
const EDITION: u32 = 1;
/// Conversations that one transaction locks.
const TOGETHER: i64 = 50;

/// What the terms are made by.
fn maker(language: Language) -> String {
    format!("{language} {EDITION}")
}

impl Database {
    /// What the terms are made by that this process writes and asks for: an index that was made by another finds other messages.
    pub fn search_edition(&self) -> String {
        maker(self.search_language)
    }
}

/// How many messages would be indexed, if the index is not what it should be. Changes nothing: it does not even open a pool.
pub(crate) async fn missing(settings: &Settings) -> StorageResult<Option<i64>> {
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
    let is_right = made_by == maker(settings.search_language);
    Ok((!is_right).then_some(messages))
}

/// Makes the index what it should be; how many messages that took. If it breaks off, it begins anew the next time.
pub(crate) async fn apply(settings: &Settings) -> StorageResult<Option<i64>> {
    let database = open(settings).await?;
    let maker = maker(settings.search_language);
    if read!(database, |c, q| q::search::made_by(c))? == maker {
        return Ok(None);
    }
    let (mut after, mut indexed) = (None, 0);
    loop {
        let mut lease = database.writer().await?;
        let rows = on!(lease, |c, q| q::search::lock_some(c, after, TOGETHER))?;
        let Some(last) = rows.last().map(|row| row.id) else {
            on!(lease, |c, q| q::search::set_made_by(c, &maker))?;
            lease.commit().await?;
            return Ok(Some(indexed));
        };
        after = Some(last);
        for row in rows {
            let conversation = Conversation::try_from(row)?;
            indexed += all_of(&mut lease, &conversation, database.search_language).await?;
        }
        lease.commit().await?;
    }
}

/// Few connections, since they are for this alone.
async fn open(settings: &Settings) -> StorageResult<Database> {
    let few = Settings {
        pool_size: 1,
        ..settings.clone()
    };
    Database::open(&few).await
}

async fn all_of(
    lease: &mut Lease,
    conversation: &Conversation,
    language: Language,
) -> StorageResult<i64> {
    let around = Around {
        owner: &conversation.owner,
        user: &conversation.user,
        title: &conversation.title,
        language,
    };
    let (mut indexed, mut below) = (0, i64::MAX);
    loop {
        let batch = index_batch(lease, conversation.id, around, below).await?;
        indexed += batch.messages;
        match batch.next {
            Some(next) => below = next,
            None => return Ok(indexed),
        }
    }
}
