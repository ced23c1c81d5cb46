//! Rules for migrations, so that the previous version can serve while one runs: docs/operations.md, "Migrations".

use super::{files, read, root, shown};

/// The schema of the first release, which is applied to an empty database.
const CORE: &str = "2026-01-01-000001_core";

/// Statements that break a version that does not know the new schema, or that lock a table for as long as they process
/// its rows.
const FORBIDDEN: [(&str, &str); 10] = [
    (
        "DROP TABLE",
        "only a release after the last one that uses it may drop it: list it in CONTRACTS",
    ),
    (
        "DROP COLUMN",
        "only a release after the last one that uses it may drop it: list it in CONTRACTS",
    ),
    (
        "RENAME",
        "add the new name, write both, and drop the old one a release later",
    ),
    (
        "ALTER COLUMN",
        "a changed type or SET NOT NULL reads or writes the whole table: add a column, or a CHECK ... NOT VALID",
    ),
    ("LOCK TABLE", "callers wait for it"),
    ("TRUNCATE", "it locks the table"),
    ("VACUUM FULL", "it locks the table"),
    ("CLUSTER", "it locks the table"),
    (
        "ADD PRIMARY KEY",
        "make a unique index CONCURRENTLY and use it: ADD CONSTRAINT ... USING INDEX",
    ),
    (
        "ADD UNIQUE",
        "make a unique index CONCURRENTLY and use it: ADD CONSTRAINT ... USING INDEX",
    ),
];

/// Migrations that remove what no released version uses any more, each with the last release that used it.
const CONTRACTS: [(&str, &str); 0] = [];

/// Violations of the rules in a Postgres migration.
fn violations(name: &str, sql: &str, metadata: &str) -> Vec<String> {
    let sql = statements(sql);
    let mut violations = Vec::new();
    let contracts = CONTRACTS.iter().any(|(listed, _)| *listed == name);
    for (words, remedy) in FORBIDDEN {
        if sql.iter().any(|statement| statement.contains(words)) && !contracts {
            violations.push(format!("{words}: {remedy}"));
        }
    }
    let is_index = |statement: &&String| {
        let rest = statement.strip_prefix("CREATE ");
        rest.is_some_and(|rest| rest.starts_with("INDEX") || rest.starts_with("UNIQUE INDEX"))
    };
    // A table that the same migration creates is not in use yet.
    let is_new = |index: &str| {
        let table = index
            .split(" ON ")
            .nth(1)
            .and_then(|on| on.split([' ', '(']).next());
        let create = table.map(|table| format!("CREATE TABLE {table} "));
        create.is_some_and(|create| sql.iter().any(|statement| statement.starts_with(&create)))
    };
    let mut indexes = sql.iter().filter(is_index);
    if indexes.any(|index| !index.contains("INDEX CONCURRENTLY") && !is_new(index)) {
        violations.push("CREATE INDEX without CONCURRENTLY: writers wait for it".to_owned());
    }
    let no_transaction = metadata
        .replace(' ', "")
        .contains("run_in_transaction=false");
    let is_concurrent = sql
        .iter()
        .any(|statement| statement.contains("CONCURRENTLY"));
    if is_concurrent && !(no_transaction && sql.len() == 1) {
        violations.push(
            "CONCURRENTLY must be the only statement, with run_in_transaction = false in metadata.toml"
                .to_owned(),
        );
    }
    if sql.iter().any(|s| s.contains("CONCURRENTLY IF NOT EXISTS")) {
        violations.push("IF NOT EXISTS: an unfinished index would count as created".to_owned());
    }
    if no_transaction && !is_concurrent {
        violations.push(
            "run_in_transaction = false: a failure would leave half of it applied".to_owned(),
        );
    }
    let first = sql.first().map(String::as_str).unwrap_or_default();
    if !is_concurrent && !first.starts_with("SET LOCAL LOCK_TIMEOUT = '") {
        violations.push("no lock_timeout: begin with SET LOCAL lock_timeout = '1s'".to_owned());
    }
    if sql.iter().any(|s| {
        s.contains("ADD CONSTRAINT") && !s.contains("NOT VALID") && !s.contains("USING INDEX")
    }) {
        violations.push(
            "ADD CONSTRAINT reads the whole table: NOT VALID, and VALIDATE in a later migration"
                .to_owned(),
        );
    }
    violations
}

/// Splits SQL into statements in upper case, without comments and with single spaces.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let all = code.join(" ");
    all.split(';')
        .map(|statement| {
            let words: Vec<String> = statement
                .split_whitespace()
                .map(str::to_uppercase)
                .collect();
            words.join(" ")
        })
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[test]
fn migrations_do_not_disturb_the_previous_version() {
    let all = files("migrations/postgres", "up.sql");
    assert!(all.iter().any(|path| shown(path).contains(CORE)), "{all:?}");
    let mut found = Vec::new();
    for path in all {
        let folder = path.parent().unwrap_or(&path);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name == CORE {
            continue;
        }
        let metadata = std::fs::read_to_string(folder.join("metadata.toml")).unwrap_or_default();
        let violations = violations(&name, &read(&path), &metadata);
        found.extend(
            violations
                .into_iter()
                .map(|violations| format!("{name}: {violations}")),
        );
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn migrations_follow_the_core_and_are_never_reverted() {
    for database in ["postgres", "sqlite"] {
        let all = files(&format!("migrations/{database}"), ".sql");
        let names: Vec<String> = all.iter().map(|path| shown(path)).collect();
        assert!(
            names.iter().all(|name| name.ends_with("/up.sql")),
            "{names:?}"
        );
        let before: Vec<_> = names
            .iter()
            .filter(|name| name.split('/').nth(2).is_some_and(|folder| folder < CORE))
            .collect();
        assert!(before.is_empty(), "{before:?} in {}", root().display());
    }
}

/// The rules themselves can refuse and accept.
#[test]
fn invalid_migrations_are_reported_and_valid_ones_are_not() {
    let timeout = "SET LOCAL lock_timeout = '1s';";
    let no_transaction = "run_in_transaction = false";
    for (sql, metadata, ok) in [
        (
            "SET LOCAL lock_timeout = '1s';\nALTER TABLE messages ADD COLUMN note text;",
            "",
            true,
        ),
        (
            "-- a comment; with a semicolon\nSET LOCAL lock_timeout = '1s'; CREATE TABLE t (id uuid PRIMARY KEY);",
            "",
            true,
        ),
        (
            "SET LOCAL lock_timeout = '1s'; CREATE TABLE t (a int); CREATE INDEX i ON t (a);",
            "",
            true,
        ),
        (
            "CREATE INDEX CONCURRENTLY i ON t (a);",
            no_transaction,
            true,
        ),
        (
            "create unique index concurrently i on t (a);",
            "run_in_transaction=false",
            true,
        ),
        ("DROP INDEX CONCURRENTLY i;", no_transaction, true),
        (
            "SET LOCAL lock_timeout = '1s'; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;",
            "",
            true,
        ),
        ("ALTER TABLE messages ADD COLUMN note text;", "", false),
        ("CREATE INDEX i ON t (a);", "", false),
        (
            "SET LOCAL lock_timeout = '1s'; CREATE UNIQUE INDEX i ON t (a);",
            "",
            false,
        ),
        ("CREATE INDEX CONCURRENTLY i ON t (a);", "", false),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);",
            no_transaction,
            false,
        ),
        (
            "CREATE INDEX CONCURRENTLY i ON t (a); CREATE INDEX CONCURRENTLY j ON t (b);",
            no_transaction,
            false,
        ),
        (
            "SET LOCAL lock_timeout = '1s'; ALTER TABLE t DROP COLUMN a;",
            "",
            false,
        ),
        (
            "SET LOCAL lock_timeout = '1s'; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);",
            "",
            false,
        ),
        (
            "SET LOCAL lock_timeout = '1s'; ALTER TABLE t ALTER COLUMN a SET NOT NULL;",
            "",
            false,
        ),
        (
            "SET LOCAL lock_timeout = '1s'; DROP TABLE t;",
            no_transaction,
            false,
        ),
    ] {
        assert_eq!(violations("new", sql, metadata).is_empty(), ok, "{sql}");
    }
    for (words, _) in FORBIDDEN {
        let sql = format!("{timeout} {words} t;");
        assert!(!violations("new", &sql, "").is_empty(), "{sql}");
    }
}
