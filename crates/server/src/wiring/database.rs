//! Opening and migrating the database at start.

use std::time::Duration;

use parlance_storage::{Database, DatabaseUrl, MigrationReport, StorageError};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::start_error::StartError;
use crate::config::{Migrate, Settings};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Opens the database, migrated as the settings say.
pub(super) async fn open(settings: &Settings) -> Result<Database, StartError> {
    prepare(settings).await?;
    let storage = settings.storage();
    with_retries(settings, async || Database::open(&storage).await).await
}

async fn prepare(settings: &Settings) -> Result<(), StartError> {
    match settings.migrate {
        Migrate::Auto => {
            let MigrationReport {
                migrations,
                indexed,
            } = migrate(settings, false).await?;
            for migration in migrations {
                tracing::info!(migration, "migrated");
            }
            if let Some(messages) = indexed.filter(|messages| *messages > 0) {
                let language = settings.search_language;
                tracing::info!(messages, %language, "indexed for search");
            }
            Ok(())
        }
        Migrate::Check => {
            let MigrationReport {
                migrations: mut missing,
                indexed,
            } = migrate(settings, true).await?;
            if indexed.is_some() {
                let language = settings.search_language;
                missing.push(format!("a search index for SEARCH_LANGUAGE={language}"));
            }
            if missing.is_empty() {
                Ok(())
            } else {
                Err(lacking(settings, missing))
            }
        }
        Migrate::Off => Ok(()),
    }
}

/// Applies the missing migrations, or only lists them in a dry run.
pub async fn migrate(settings: &Settings, dry_run: bool) -> Result<MigrationReport, StartError> {
    let storage = settings.storage();
    with_retries(settings, async || {
        if dry_run {
            parlance_storage::pending_migrations(&storage).await
        } else {
            parlance_storage::migrate(&storage).await
        }
    })
    .await
}

/// Returns the id of the installation of the database. A database that was never migrated has none.
pub(super) async fn installation(
    settings: &Settings,
    database: &Database,
) -> Result<Uuid, StartError> {
    let installation = with_retries(settings, async || database.installation().await).await;
    if installation.is_err() {
        let missing = migrate(settings, true).await?.migrations;
        if !missing.is_empty() {
            return Err(lacking(settings, missing));
        }
    }
    installation
}

const fn lacking(settings: &Settings, missing: Vec<String>) -> StartError {
    StartError::Migrations {
        setting: settings.migrate,
        missing,
    }
}

/// Repeats the attempt until it succeeds or `DATABASE_CONNECT_TIMEOUT` has passed. Only Postgres is tried again, since its server
/// may still be starting; waiting does not help with a file that cannot be opened.
async fn with_retries<T>(
    settings: &Settings,
    attempt: impl AsyncFn() -> Result<T, StorageError>,
) -> Result<T, StartError> {
    let url = &settings.database_url;
    let deadline = Instant::now() + settings.database_connect_timeout;
    let mut pause = FIRST_PAUSE;
    let mut number = 0;
    loop {
        number += 1;
        let source = match attempt().await {
            Ok(value) => return Ok(value),
            Err(source) => source,
        };
        let retryable = matches!(
            (&source, url),
            (
                StorageError::Unavailable(_) | StorageError::Busy,
                DatabaseUrl::Postgres(_)
            )
        );
        if !retryable || Instant::now() + pause > deadline {
            let url = url.to_string();
            return Err(StartError::Database { url, source });
        }
        tracing::warn!(attempt = number, database = %url, error = %source, "the database is not reached yet");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
