//! A running service and its database.

use std::ops::Deref;

use parlance_testkit::{Builder, Parlance, Postgres, SqliteFile, TestDatabase};
use tokio::sync::OnceCell;

/// The stall limit of Redis in milliseconds. It is generous, because a machine that runs other tests at the same time
/// answers late.
const STALL_LIMIT_MS: &str = "50";

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A SQLite file.
    Sqlite,
    /// A Postgres server.
    Postgres,
}

/// A running service with a database of its own.
#[derive(Debug)]
pub struct Service {
    parlance: Parlance,
    builder: Builder,
    url: String,
    // Last, so that the service is dropped first.
    _data: Data,
}

#[derive(Debug)]
#[expect(dead_code, reason = "keeps the database until the service is dropped")]
enum Data {
    File(SqliteFile),
    Database(TestDatabase),
    External,
}

impl Service {
    /// The service that the tests of this binary share.
    pub async fn shared(kind: Kind) -> &'static Self {
        static SQLITE: OnceCell<Service> = OnceCell::const_new();
        static POSTGRES: OnceCell<Service> = OnceCell::const_new();
        let cell = match kind {
            Kind::Sqlite => &SQLITE,
            Kind::Postgres => &POSTGRES,
        };
        cell.get_or_init(async || Self::start(kind).await).await
    }

    /// Starts a service for one test.
    pub async fn start(kind: Kind) -> Self {
        Self::start_with(kind, |builder| builder).await
    }

    /// Starts a service with settings of the test's own.
    pub async fn start_with(kind: Kind, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let (url, data) = match kind {
            Kind::Sqlite => {
                let file = SqliteFile::new();
                (file.url(), Data::File(file))
            }
            Kind::Postgres => {
                let database = Postgres::shared().create_database().await;
                (database.url.clone(), Data::Database(database))
            }
        };
        Self::launch(url, data, settings).await
    }

    /// Starts a service over a database that the caller owns.
    pub async fn over(url: &str, settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self::launch(url.to_owned(), Data::External, settings).await
    }

    async fn launch(url: String, data: Data, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = Parlance::builder()
            .database_url(&url)
            .env("CACHE_PATIENCE_MS", STALL_LIMIT_MS);
        let builder = settings(builder);
        Self {
            parlance: builder.clone().start().await,
            builder,
            url,
            _data: data,
        }
    }

    /// Restarts the service over the same database. It must have ended.
    pub async fn start_again(&mut self) {
        self.start_again_with(|builder| builder).await;
    }

    /// The same with other settings, for this run alone.
    pub async fn start_again_with(&mut self, settings: impl FnOnce(Builder) -> Builder) {
        assert!(
            self.parlance.exited().is_some(),
            "the service is still running"
        );
        self.parlance = settings(self.builder.clone()).start().await;
    }

    /// URL of its database.
    pub fn database_url(&self) -> &str {
        &self.url
    }
}

impl Deref for Service {
    type Target = Parlance;

    fn deref(&self) -> &Parlance {
        &self.parlance
    }
}
