//! A database with a number of messages in it.

use std::path::Path;

use parlance_testkit::{SqliteFile, TestDatabase};

use crate::fill;
use crate::harness::Lab;
use crate::message::Talks;

/// Which of the two.
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
    pub(crate) fn filled(lab: &Lab, kind: Kind, messages: u64) -> Self {
        Self::with(lab, kind, &[Talks::short(messages)])
    }

    pub(crate) fn with(lab: &Lab, kind: Kind, talks: &[Talks]) -> Self {
        let messages: u64 = talks.iter().map(|talks| talks.messages).sum();
        eprintln!("filling {kind} with {messages} messages");
        let database = match kind {
            Kind::Sqlite => Self::Sqlite(SqliteFile::new()),
            Kind::Postgres => Self::Postgres(lab.wait(lab.postgres().create_database())),
        };
        match &lab.binary {
            Some(binary) => lab.migrate(binary, &database.url()),
            None => database.make_tables(lab),
        }
        match &database {
            Self::Sqlite(file) => fill::sqlite::fill(file.path(), talks),
            Self::Postgres(pg) => lab.wait(fill::postgres::fill(&pg.url, talks)),
        }
        database
    }

    /// Changed by these statements, counted and indexed anew.
    pub(crate) fn indexed(lab: &Lab, kind: Kind, messages: u64, change: &str) -> Self {
        let database = Self::filled(lab, kind, messages);
        database.run(
            lab,
            &format!(
                "{change}; DELETE FROM stat_totals; DELETE FROM stat_deltas; {COUNT}; UPDATE search_state SET made_by = ''"
            ),
        );
        // Makes the index.
        if let Some(binary) = &lab.binary {
            lab.migrate(binary, &database.url());
        }
        if kind == Kind::Postgres {
            database.run(lab, "VACUUM ANALYZE");
        }
        database
    }

    /// Runs statements past the service.
    pub(crate) fn run(&self, lab: &Lab, statements: &str) {
        match self {
            Self::Sqlite(file) => fill::sqlite::run(file.path(), statements),
            Self::Postgres(pg) => lab.wait(fill::postgres::run(&pg.url, statements)),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(database) => database.url.clone(),
        }
    }

    /// The server process, which on `SQLite` is the service itself.
    pub(crate) fn pid(&self, lab: &Lab) -> Option<u32> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(_) => Some(lab.postgres().pid()),
        }
    }

    /// The tables alone, for a baseline that needs nothing else.
    fn make_tables(&self, lab: &Lab) {
        let kind = match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        };
        self.run(lab, &migrations(kind));
    }
}

/// Counts what is in a database that was filled without its counters.
pub(crate) const COUNT: &str = include_str!("count.sql");

/// All migrations of one kind, one after another.
pub(crate) fn migrations(kind: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrations")
        .join(kind);
    let entries = dir.read_dir().expect("the migrations lie in the source");
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
