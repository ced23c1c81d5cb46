//! A running service and its database.

use std::ops::Deref;

use parlance_testkit::{Builder, Parlance, Postgres, SqliteFile, TestDatabase};
use tokio::sync::OnceCell;

/// How long nothing may come from a Redis: on a machine that is busy with other tests that says little.
const UNHURRIED: &str = "50";

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A running service with a database of its own.
#[derive(Debug)]
pub struct Service {
    parlance: Parlance,
    builder: Builder,
    url: String,
    // Last: the service goes first.
    _data: Data,
}

#[derive(Debug)]
#[expect(dead_code, reason = "kept until the service is gone")]
enum Data {
    File(SqliteFile),
    Database(TestDatabase),
    Elsewhere,
}

impl Service {
    /// The one that tests of this binary share.
    pub async fn shared(kind: Kind) -> &'static Self {
        static SQLITE: OnceCell<Service> = OnceCell::const_new();
        static POSTGRES: OnceCell<Service> = OnceCell::const_new();
        let cell = match kind {
            Kind::Sqlite => &SQLITE,
            Kind::Postgres => &POSTGRES,
        };
        cell.get_or_init(async || Self::start(kind).await).await
    }

    /// One for a test that hurts it.
    pub async fn start(kind: Kind) -> Self {
        Self::start_with(kind, |builder| builder).await
    }

    /// The same with settings of the test's own.
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

    /// One over a database that somebody else looks after.
    pub async fn over(url: &str, settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self::launch(url.to_owned(), Data::Elsewhere, settings).await
    }

    async fn launch(url: String, data: Data, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = Parlance::builder()
            .database_url(&url)
            .env("CACHE_PATIENCE_MS", UNHURRIED);
        let builder = settings(builder);
        Self {
            parlance: builder.clone().start().await,
            builder,
            url,
            _data: data,
        }
    }

    /// Starts it again over the same database. It must have ended.
    pub async fn start_again(&mut self) {
        self.start_again_with(|builder| builder).await;
    }

    /// The same with other settings, this time alone.
    pub async fn start_again_with(&mut self, settings: impl FnOnce(Builder) -> Builder) {
        assert!(self.parlance.exited().is_some(), "it still runs");
        self.parlance = settings(self.builder.clone()).start().await;
    }

    /// Where its database is.
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
