//! A throw-away database that is migrated and open, and raw SQL on it.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::SqliteConnection;
use parlance_storage::{Database, DatabaseUrl, Settings, migrate};
use parlance_testkit::{Postgres, SqliteFile};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// An open database of one test.
pub(crate) struct Db {
    pub(crate) kind: Kind,
    pub(crate) settings: Settings,
    pub(crate) open: Database,
    _file: Option<SqliteFile>,
}

impl Db {
    pub(crate) async fn sqlite() -> Self {
        let (settings, file) = fresh_sqlite();
        Self::ready(Kind::Sqlite, settings, Some(file)).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::ready(Kind::Postgres, fresh_postgres().await, None).await
    }

    /// In a server of the test's own.
    pub(crate) async fn within(server: &Postgres) -> Self {
        let url = server.create_database().await.url.clone();
        Self::ready(Kind::Postgres, settings(&url), None).await
    }

    /// Runs raw SQL only: the file or the database as it is.
    pub(crate) async fn rows_of(settings: &Settings, sql: &str) -> Vec<Option<String>> {
        rows(settings, sql, false).await
    }

    /// Runs statements that may fail.
    pub(crate) async fn try_run(
        settings: &Settings,
        sql: &str,
    ) -> Result<(), tokio_postgres::Error> {
        let DatabaseUrl::Postgres(url) = &settings.url else {
            panic!("this database has no server");
        };
        client(url).await.batch_execute(sql).await
    }

    async fn ready(kind: Kind, settings: Settings, file: Option<SqliteFile>) -> Self {
        migrate(&settings).await.unwrap();
        let open = Database::open(&settings).await.unwrap();
        Self {
            kind,
            settings,
            open,
            _file: file,
        }
    }

    /// Opens the same database once more with other settings.
    pub(crate) async fn opened(&self, change: impl FnOnce(&mut Settings)) -> Database {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Database::open(&settings).await.unwrap()
    }

    /// Runs statements.
    pub(crate) async fn run(&self, sql: &str) {
        rows(&self.settings, sql, true).await;
    }

    /// Returns the column `v` of a query's rows, as text; a NULL is `None`.
    pub(crate) async fn column(&self, sql: &str) -> Vec<Option<String>> {
        rows(&self.settings, sql, false).await
    }

    /// Returns the column `v` of a query without NULLs.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.column(sql)
            .await
            .into_iter()
            .map(Option::unwrap)
            .collect()
    }

    /// Returns the column `detail` of SQLite's plans.
    pub(crate) async fn details(&self, sql: &str) -> Vec<String> {
        let DatabaseUrl::Sqlite(path) = &self.settings.url else {
            panic!("only SQLite shows its plans so");
        };
        let (path, sql) = (path.to_string_lossy().into_owned(), sql.to_owned());
        tokio::task::spawn_blocking(move || sqlite_details(&path, &sql))
            .await
            .unwrap()
    }

    /// Counts the rows of a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let rows = self
            .texts(&format!("SELECT CAST(count(*) AS text) AS v FROM {table}"))
            .await;
        rows[0].parse().unwrap()
    }

    /// Opens a connection to Postgres outside the pool, which lives as long as the client.
    pub(crate) async fn client(&self) -> Client {
        match &self.settings.url {
            DatabaseUrl::Postgres(url) => client(url).await,
            DatabaseUrl::Sqlite(_) => panic!("this database has no server"),
        }
    }

    /// Formats an id as this database writes it in SQL.
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

#[derive(QueryableByName)]
struct Detail {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn sqlite_details(path: &str, sql: &str) -> Vec<String> {
    let mut conn = SqliteConnection::establish(path).unwrap();
    let details: Vec<Detail> = diesel::sql_query(sql).load(&mut conn).unwrap();
    details.into_iter().map(|detail| detail.detail).collect()
}

fn sqlite_rows(path: &str, sql: &str, run: bool) -> Vec<Option<String>> {
    use diesel::connection::SimpleConnection as _;
    let mut conn = SqliteConnection::establish(path).unwrap();
    conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
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

pub(crate) fn fresh_sqlite() -> (Settings, SqliteFile) {
    let file = SqliteFile::new();
    (settings(&file.url()), file)
}

pub(crate) async fn fresh_postgres() -> Settings {
    settings(&Postgres::shared().create_database().await.url)
}

fn settings(url: &str) -> Settings {
    Settings {
        // Two cores and a server that many tests share: waiting is not what most tests are about.
        acquire_timeout: Duration::from_secs(20),
        pool_size: 8,
        ..Settings::new(DatabaseUrl::parse(url).unwrap())
    }
}
