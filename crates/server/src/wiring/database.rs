//! Reaching the database at start, and bringing it up to date.

use std::time::Duration;

use parlance_storage::{Database, DatabaseUrl, MigrationReport, StorageError};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::StartError;
use crate::config::{Migrate, Settings};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// An open database, migrated as the settings want it.
pub(super) async fn open(settings: &Settings) -> Result<Database, StartError> {
    prepare(settings).await?;
    patiently(settings, async || Database::open(&settings.database).await).await
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
                let language = settings.database.search_language;
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
                let language = settings.database.search_language;
                missing.push(format!("an index for SEARCH_LANGUAGE={language}"));
            }
            if missing.is_empty() {
                Ok(())
            } else {
                Err(StartError::Migrations(missing))
            }
        }
        Migrate::Off => Ok(()),
    }
}

/// Applies the migrations that are missing, or only names them.
pub async fn migrate(settings: &Settings, dry_run: bool) -> Result<MigrationReport, StartError> {
    patiently(settings, async || {
        if dry_run {
            parlance_storage::pending_migrations(&settings.database).await
        } else {
            parlance_storage::migrate(&settings.database).await
        }
    })
    .await
}

/// The id of the installation that the database is of. A database that was never migrated has none.
pub(super) async fn installation(
    settings: &Settings,
    database: &Database,
) -> Result<Uuid, StartError> {
    let found = patiently(settings, async || database.installation().await).await;
    if found.is_err() {
        let missing = migrate(settings, true).await?.migrations;
        if !missing.is_empty() {
            return Err(StartError::Migrations(missing));
        }
    }
    found
}

/// Tries until it works or the time is over. A server may still be starting; a file that cannot be opened will not be opened
/// by waiting.
async fn patiently<T>(
    settings: &Settings,
    attempt: impl AsyncFn() -> Result<T, StorageError>,
) -> Result<T, StartError> {
    let url = &settings.database.url;
    let deadline = Instant::now() + settings.connect_timeout;
    let mut pause = FIRST_PAUSE;
    let mut number = 0;
    loop {
        number += 1;
        let source = match attempt().await {
            Ok(value) => return Ok(value),
            Err(source) => source,
        };
        let may_pass = matches!(
            (&source, url),
            (StorageError::Unavailable(_), DatabaseUrl::Postgres(_))
        );
        if !may_pass || Instant::now() + pause > deadline {
            let url = url.to_string();
            return Err(StartError::Database { url, source });
        }
        tracing::warn!(attempt = number, database = %url, error = %source, "the database is not reached yet");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
