//! Throw-away migrated database, and raw SQL access to it.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::SqliteConnection;
use parlance_storage::{Database, DatabaseUrl, Settings, migrate};
use parlance_testkit::{Postgres, SqliteFile};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A database of one test.
pub(crate) struct Db {
    pub(crate) kind: Kind,
    pub(crate) settings: Settings,
    _file: Option<SqliteFile>,
}

impl Db {
    pub(crate) async fn sqlite() -> Self {
        let file = SqliteFile::new();
        Self::ready(Kind::Sqlite, &file.url(), Some(file)).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::within(Postgres::shared()).await
    }

    /// Creates a database in the test's own server.
    pub(crate) async fn within(server: &Postgres) -> Self {
        let url = server.create_database().await.url.clone();
        Self::ready(Kind::Postgres, &url, None).await
    }

    async fn ready(kind: Kind, url: &str, file: Option<SqliteFile>) -> Self {
        let settings = Settings {
            // Two cores and a server shared by many tests: connection time-outs are not the subject of most tests.
            acquire_timeout: Duration::from_secs(20),
            pool_size: 6,
            ..Settings::new(DatabaseUrl::parse(url).unwrap())
        };
        migrate(&settings).await.unwrap();
        Self {
            kind,
            settings,
            _file: file,
        }
    }

    pub(crate) async fn open(&self) -> Database {
        Database::open(&self.settings).await.unwrap()
    }

    /// Executes statements.
    pub(crate) async fn run(&self, sql: &str) {
        rows(&self.settings, sql, true).await;
    }

    /// Returns the column `v` of a query's rows as text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        rows(&self.settings, sql, false)
            .await
            .into_iter()
            .map(Option::unwrap)
            .collect()
    }

    /// Returns the number of rows.
    pub(crate) async fn count(&self, from: &str) -> usize {
        let rows = self
            .texts(&format!("SELECT CAST(count(*) AS text) AS v FROM {from}"))
            .await;
        rows[0].parse().unwrap()
    }

    /// Opens a Postgres connection outside the pools; it stays open as long as the client.
    pub(crate) async fn client(&self) -> Client {
        match &self.settings.url {
            DatabaseUrl::Postgres(url) => client(url).await,
            DatabaseUrl::Sqlite(_) => panic!("this database has no server"),
        }
    }

    /// Formats an id for SQL of this database.
    pub(crate) fn id(&self, id: impl std::fmt::Display) -> String {
        match self.kind {
            Kind::Postgres => format!("'{id}'"),
            Kind::Sqlite => format!("x'{}'", id.to_string().replace('-', "")),
        }
    }
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Nullable<Text>)]
    v: Option<String>,
}

async fn rows(settings: &Settings, sql: &str, run: bool) -> Vec<Option<String>> {
    match &settings.url {
        DatabaseUrl::Postgres(url) => {
            let answers = client(url).await.simple_query(sql).await.unwrap();
            let row = |answer| {
                if let SimpleQueryMessage::Row(row) = answer {
                    Some(row.get(0).map(str::to_owned))
                } else {
                    None
                }
            };
            answers.into_iter().filter_map(row).collect()
        }
        DatabaseUrl::Sqlite(path) => {
            let (path, sql) = (path.to_string_lossy().into_owned(), sql.to_owned());
            tokio::task::spawn_blocking(move || sqlite_rows(&path, &sql, run))
                .await
                .unwrap()
        }
    }
}

fn sqlite_rows(path: &str, sql: &str, run: bool) -> Vec<Option<String>> {
    use diesel::connection::SimpleConnection as _;
    let mut conn = SqliteConnection::establish(path).unwrap();
    conn.batch_execute("PRAGMA busy_timeout = 20000; PRAGMA foreign_keys = ON")
        .unwrap();
    if run {
        conn.batch_execute(sql).unwrap();
        return Vec::new();
    }
    let values: Vec<Value> = diesel::sql_query(sql).load(&mut conn).unwrap();
    values.into_iter().map(|value| value.v).collect()
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
