//! Databases filled with messages.

use std::path::Path;

use parlance_testkit::{SqliteFile, TestDatabase};

use crate::fill;
use crate::harness::Harness;
use crate::message::ConversationSet;

/// Kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "Postgres",
        })
    }
}

/// A throw-away database.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(SqliteFile),
    Postgres(TestDatabase),
}

impl Database {
    pub(crate) fn filled(harness: &Harness, kind: Kind, messages: u64) -> Self {
        Self::with(harness, kind, &[ConversationSet::short(messages)])
    }

    pub(crate) fn with(harness: &Harness, kind: Kind, sets: &[ConversationSet]) -> Self {
        let messages: u64 = sets.iter().map(|set| set.messages).sum();
        eprintln!("filling {kind} with {messages} messages");
        let database = match kind {
            Kind::Sqlite => Self::Sqlite(SqliteFile::new()),
            Kind::Postgres => Self::Postgres(harness.wait(harness.postgres().create_database())),
        };
        match &harness.binary {
            Some(binary) => harness.migrate(binary, &database.url()),
            None => database.make_tables(harness),
        }
        match &database {
            Self::Sqlite(file) => fill::sqlite::fill(file.path(), sets),
            Self::Postgres(pg) => harness.wait(fill::postgres::fill(&pg.url, sets)),
        }
        database
    }

    /// Fills a database, changes it with these statements, and rebuilds statistics and the search index.
    pub(crate) fn indexed(harness: &Harness, kind: Kind, messages: u64, change: &str) -> Self {
        let database = Self::filled(harness, kind, messages);
        database.run(
            harness,
            &format!(
                "{change}; DELETE FROM stat_totals; DELETE FROM stat_deltas; {COUNT}; UPDATE search_state SET made_by = ''"
            ),
        );
        // Builds the index.
        if let Some(binary) = &harness.binary {
            harness.migrate(binary, &database.url());
        }
        if kind == Kind::Postgres {
            database.run(harness, "VACUUM ANALYZE");
        }
        database
    }

    /// Runs statements directly on the database.
    pub(crate) fn run(&self, harness: &Harness, statements: &str) {
        match self {
            Self::Sqlite(file) => fill::sqlite::run(file.path(), statements),
            Self::Postgres(pg) => harness.wait(fill::postgres::run(&pg.url, statements)),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(database) => database.url.clone(),
        }
    }

    /// Returns the pid of the database server; none on `SQLite`, which runs inside the service.
    pub(crate) fn pid(&self, harness: &Harness) -> Option<u32> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(_) => Some(harness.postgres().pid()),
        }
    }

    /// Creates the tables only, for baselines that need nothing else.
    fn make_tables(&self, harness: &Harness) {
        let kind = match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        };
        self.run(harness, &migrations(kind));
    }
}

/// SQL that computes the statistics of a database that was filled without them.
pub(crate) const COUNT: &str = include_str!("count.sql");

/// Returns all migrations of one kind, concatenated in order.
pub(crate) fn migrations(kind: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrations")
        .join(kind);
    let entries = dir
        .read_dir()
        .expect("the migrations are in the source tree");
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("up.sql")))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    let texts = files.iter().map(std::fs::read_to_string);
    texts
        .collect::<Result<String, _>>()
        .expect("migrations are text")
}
