//! Migrations: embedded, forward only, applied under a lock so that several instances may start at once.

use std::fs::File;
use std::path::Path;

use diesel::Connection as _;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::SqliteConnection;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::conn::open::connect;
use crate::error::{StorageError, StorageResult};
use crate::model::settings::Settings;
use crate::model::url::DatabaseUrl;
use crate::reindex;

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
pub(crate) const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Key of the advisory lock; any number that is not used elsewhere in the database.
const LOCK_KEY: i64 = 7_245_011;

/// Table in which diesel records the applied migrations.
const TABLE: &str = "__diesel_schema_migrations";

/// What a migration did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// Names of the migrations, in their order.
    pub migrations: Vec<String>,
    /// Number of messages that were (or would be) indexed again for search; `None` if the index was current, or if
    /// it was only to be listed and migrations are pending.
    pub indexed: Option<i64>,
}

impl MigrationReport {
    /// Whether nothing was pending.
    pub const fn is_empty(&self) -> bool {
        self.migrations.is_empty() && self.indexed.is_none()
    }
}

/// Applies the pending migrations; waits for another instance that is applying them.
pub async fn migrate(settings: &Settings) -> StorageResult<MigrationReport> {
    run(settings, Mode::Apply).await
}

/// Lists the pending migrations; changes nothing.
pub async fn pending_migrations(settings: &Settings) -> StorageResult<MigrationReport> {
    run(settings, Mode::List).await
}

#[derive(Clone, Copy)]
enum Mode {
    Apply,
    List,
}

async fn run(settings: &Settings, mode: Mode) -> StorageResult<MigrationReport> {
    let lock = match mode {
        Mode::Apply => Some(take_lock(settings).await?),
        Mode::List => None,
    };
    let migrations = match &settings.url {
        DatabaseUrl::Postgres(url) => postgres(url, settings, mode, POSTGRES).await?,
        DatabaseUrl::Sqlite(path) => {
            let path = path.clone();
            blocking(move || sqlite(&path, mode)).await?
        }
    };
    if matches!(mode, Mode::Apply) || migrations.is_empty() {
        check_columns(settings).await?;
    }
    let indexed = match mode {
        Mode::Apply => reindex::apply(settings).await?,
        // Only then the tables of the index exist.
        Mode::List if migrations.is_empty() => reindex::pending(settings).await?,
        Mode::List => None,
    };
    drop(lock);
    Ok(MigrationReport {
        migrations,
        indexed,
    })
}

/// Returns an error if a table lacks a column although no migration is pending: diesel records only the version of a
/// migration, and an unreleased migration may have been changed since it was applied.
async fn check_columns(settings: &Settings) -> StorageResult<()> {
    let missing = match &settings.url {
        DatabaseUrl::Postgres(url) => {
            use crate::backend::pg::queries as q;
            let mut c = connect(url, settings).await?;
            q::columns::missing(&mut c).await?
        }
        DatabaseUrl::Sqlite(path) => {
            use crate::backend::sqlite::{Conn, queries as q};
            let c = SqliteConnection::establish(&path.to_string_lossy());
            let mut c = Conn::new(c.map_err(|e| StorageError::Unavailable(e.to_string()))?);
            q::columns::missing(&mut c).await?
        }
    };
    if missing.is_empty() {
        return Ok(());
    }
    Err(StorageError::OtherSchema(missing.join(", ")))
}

/// Lock that keeps other processes from migrating until it is dropped or its process ends.
#[expect(dead_code, reason = "the value is kept only to be dropped")]
enum MigrationLock {
    Pg(Box<AsyncPgConnection>),
    Sqlite(File),
}

/// Takes the migration lock; waits for another process that has it.
async fn take_lock(settings: &Settings) -> StorageResult<MigrationLock> {
    match &settings.url {
        DatabaseUrl::Postgres(url) => {
            let mut conn = connect(url, settings).await?;
            let statement =
                format!("SET lock_timeout = '60s'; SELECT pg_advisory_lock({LOCK_KEY})");
            conn.batch_execute(&statement).await?;
            Ok(MigrationLock::Pg(Box::new(conn)))
        }
        DatabaseUrl::Sqlite(path) => {
            let path = path.clone();
            blocking(move || lock_file(&path))
                .await
                .map(MigrationLock::Sqlite)
        }
    }
}

/// Locks a file next to the database. SQLite's own locks do not cover "list the pending migrations, then apply them".
/// Held as long as the file is open.
fn lock_file(path: &Path) -> StorageResult<File> {
    let io = |e: std::io::Error| StorageError::Unavailable(format!("{}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let lock = File::create(path.with_added_extension("migrate-lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    Ok(lock)
}

async fn postgres(
    url: &str,
    settings: &Settings,
    mode: Mode,
    source: impl MigrationSource<diesel::pg::Pg> + Send + 'static,
) -> StorageResult<Vec<String>> {
    let mut conn = connect(url, settings).await?;
    let listed = matches!(mode, Mode::List) && !exists(&mut conn).await?;
    blocking(move || {
        if listed {
            return all(&source);
        }
        apply(&mut AsyncMigrationHarness::new(conn), source, mode)
    })
    .await
}

/// Whether the table of applied migrations exists. Listing the pending migrations would create it.
async fn exists(conn: &mut AsyncPgConnection) -> StorageResult<bool> {
    use diesel_async::RunQueryDsl as _;
    let sql = format!("to_regclass('{TABLE}') IS NOT NULL");
    let query = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(&sql));
    Ok(query.get_result(conn).await?)
}

fn exists_in_file(conn: &mut SqliteConnection) -> StorageResult<bool> {
    use diesel::RunQueryDsl as _;
    let sql = format!("EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '{TABLE}')");
    let query = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(&sql));
    Ok(query.get_result(conn)?)
}

fn all<DB: diesel::backend::Backend>(
    source: &impl MigrationSource<DB>,
) -> StorageResult<Vec<String>> {
    names::<DB>(&source.migrations().map_err(failed)?)
}

fn sqlite(path: &Path, mode: Mode) -> StorageResult<Vec<String>> {
    let open = || {
        SqliteConnection::establish(&path.to_string_lossy())
            .map_err(|e| StorageError::Unavailable(e.to_string()))
    };
    if matches!(mode, Mode::List) {
        if !path.exists() || !exists_in_file(&mut open()?)? {
            return all::<diesel::sqlite::Sqlite>(&SQLITE);
        }
        return apply(&mut open()?, SQLITE, mode);
    }
    apply(&mut open()?, SQLITE, mode)
}

fn apply<DB, H>(
    harness: &mut H,
    source: impl MigrationSource<DB>,
    mode: Mode,
) -> StorageResult<Vec<String>>
where
    DB: diesel::backend::Backend,
    H: MigrationHarness<DB>,
{
    match mode {
        Mode::Apply => {
            let applied = harness.run_pending_migrations(source).map_err(failed)?;
            Ok(applied.iter().map(ToString::to_string).collect())
        }
        Mode::List => names(&harness.pending_migrations(source).map_err(failed)?),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "both callers return a result")]
fn names<DB: diesel::backend::Backend>(
    migrations: &[Box<dyn Migration<DB>>],
) -> StorageResult<Vec<String>> {
    Ok(migrations
        .iter()
        .map(|m| m.name().version().to_string())
        .collect())
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StorageError {
    let text = error.to_string();
    if text.contains("lock timeout") {
        // The start retries; meanwhile the statements that queued behind the migration go on.
        return StorageError::Unavailable(format!(
            "{text}: a long-running transaction locks a table that a migration changes; pg_stat_activity shows it"
        ));
    }
    StorageError::Driver(diesel::result::Error::QueryBuilderError(error))
}

/// Runs blocking work on a thread of its own: both migration harnesses block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StorageResult<T> + Send + 'static,
) -> StorageResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StorageError::Unavailable(e.to_string()))?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use diesel_migrations::FileBasedMigrations;
    use parlance_testkit::Postgres;

    use super::*;

    fn migration(folder: &Path, name: &str, sql: &str, metadata: &str) {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("up.sql"), sql).unwrap();
        std::fs::write(folder.join("down.sql"), "").unwrap();
        std::fs::write(folder.join("metadata.toml"), metadata).unwrap();
    }

    /// Covers both forms that the rules for migrations allow, run the way the service runs them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_migration_that_cannot_lock_fails_and_can_be_repeated() {
        let database = Postgres::shared().create_database().await;
        let mut settings = Settings::new(DatabaseUrl::parse(&database.url).unwrap());
        settings.acquire_timeout = Duration::from_mins(1);
        migrate(&settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let add = "SET LOCAL lock_timeout = '200ms';\nALTER TABLE messages ADD COLUMN note text;";
        migration(folder.path(), "2026-02-01-000001_note", add, "");
        let index = "CREATE INDEX CONCURRENTLY messages_note ON messages (note);";
        let no_transaction = "run_in_transaction = false";
        migration(
            folder.path(),
            "2026-02-01-000002_index",
            index,
            no_transaction,
        );
        let apply = async || {
            let source = FileBasedMigrations::from_path(folder.path()).unwrap();
            postgres(&database.url, &settings, Mode::Apply, source).await
        };

        let mut reader = connect(&database.url, &settings).await.unwrap();
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM messages")
            .await
            .unwrap();
        let refused = apply().await.unwrap_err();
        assert!(
            matches!(&refused, StorageError::Unavailable(why) if why.contains("pg_stat_activity")),
            "{refused:?}"
        );
        reader.batch_execute("COMMIT").await.unwrap();
        assert_eq!(apply().await.unwrap().len(), 2);
        assert_eq!(apply().await.unwrap(), Vec::<String>::new());
    }
}
