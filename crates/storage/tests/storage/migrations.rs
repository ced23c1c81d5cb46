//! Migrations: concurrent, without pending ones, and alike on both databases.

use std::collections::BTreeMap;
use std::path::Path;

use parlance_storage::{Settings, StorageError, migrate, pending_migrations};

use crate::support::db::{fresh_postgres, fresh_sqlite};
use crate::support::{Db, Kind};

fn names(kind: Kind) -> Vec<String> {
    let folder = match kind {
        Kind::Sqlite => "../../migrations/sqlite",
        Kind::Postgres => "../../migrations/postgres",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The version in the migration table: the part of the folder's name before the first underscore, without dashes.
fn versions(kind: Kind) -> Vec<String> {
    let version = |name: &String| name.split('_').next().unwrap().replace('-', "");
    names(kind).iter().map(version).collect()
}

/// Without the lock two processes find the same migration pending, and the second fails at its first CREATE TABLE.
async fn race(settings: Settings, kind: Kind) {
    let racers: Vec<_> = (0..6)
        .map(|_| {
            let settings = settings.clone();
            tokio::spawn(async move { migrate(&settings).await })
        })
        .collect();
    let mut applied = Vec::new();
    for racer in racers {
        applied.extend(racer.await.unwrap().unwrap().migrations);
    }
    assert_eq!(applied, versions(kind), "each is applied by exactly one");
    assert_eq!(
        pending_migrations(&settings).await.unwrap().migrations,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_concurrent_processes_apply_each_migration_once_on_sqlite() {
    let (settings, _file) = fresh_sqlite();
    race(settings, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_concurrent_processes_apply_each_migration_once_on_postgres() {
    race(fresh_postgres().await, Kind::Postgres).await;
}

#[tokio::test]
async fn listing_pending_migrations_changes_nothing_on_postgres() {
    let settings = fresh_postgres().await;
    let listed = pending_migrations(&settings).await.unwrap();
    assert_eq!(listed.migrations, versions(Kind::Postgres));
    let tables = "SELECT tablename AS v FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(Db::rows_of(&settings, tables).await, []);
    migrate(&settings).await.unwrap();
    assert_eq!(
        pending_migrations(&settings).await.unwrap().migrations,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn listing_pending_migrations_changes_nothing_on_sqlite() {
    let (settings, file) = fresh_sqlite();
    let entries = || {
        let folder = std::fs::read_dir(file.path().parent().unwrap()).unwrap();
        folder.count()
    };
    let before = entries();
    let listed = pending_migrations(&settings).await.unwrap();
    assert_eq!(listed.migrations, versions(Kind::Sqlite));
    assert_eq!(entries(), before);

    // An existing empty file stays empty.
    std::fs::write(file.path(), b"").unwrap();
    let listed = pending_migrations(&settings).await.unwrap();
    assert_eq!(listed.migrations, versions(Kind::Sqlite));
    assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 0);
    assert_eq!(entries(), before + 1);
}

/// A development build may change a migration that is not released; the databases that it migrated before have its
/// version recorded.
#[tokio::test]
async fn a_database_of_another_core_migration_is_refused() {
    for db in [Db::sqlite().await, Db::postgres().await] {
        db.run("ALTER TABLE messages DROP COLUMN other_fields; ALTER TABLE senders DROP COLUMN reply_domain; DROP TABLE imports")
            .await;
        for checked in [
            migrate(&db.settings).await,
            pending_migrations(&db.settings).await,
        ] {
            let Err(StorageError::OtherSchema(missing)) = &checked else {
                panic!("{:?}: {checked:?}", db.kind);
            };
            for name in ["other_fields", "reply_domain", "imports"] {
                assert!(missing.contains(name), "{name} in {missing}");
            }
        }
    }
}

#[test]
fn every_table_is_compared_with_the_database() {
    let schema = include_str!("../../src/schema.rs");
    let compared = include_str!("../../src/queries/columns.rs");
    let mut tables = 0;
    for table in schema.split("diesel::table!").skip(1) {
        let line = table.lines().find(|line| line.ends_with(") {")).unwrap();
        let name = line.split_whitespace().next().unwrap();
        assert!(compared.contains(&format!("        {name},\n")), "{name}");
        tables += 1;
    }
    assert!(tables > 10, "{tables} tables");
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert!(!names(Kind::Sqlite).is_empty());
    assert_eq!(names(Kind::Sqlite), names(Kind::Postgres));
}

/// The most columns that diesel's feature `32-column-tables` allows. The next larger feature quadruples its compile time.
const MOST_COLUMNS: usize = 32;

/// The names of columns and whether they may be NULL, by table; without those of the search index, which differs
/// between the databases.
async fn tables(db: &Db) -> BTreeMap<String, Vec<String>> {
    let sql = match db.kind {
        Kind::Sqlite => {
            "SELECT t.name || ' ' || c.name || CASE WHEN c.\"notnull\" OR c.pk THEN ' NOT NULL' ELSE '' END AS v \
             FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND t.name NOT LIKE 'message\\_search%' ESCAPE '\\' AND t.name NOT LIKE 'message\\_terms%' ESCAPE '\\'"
        }
        Kind::Postgres => {
            "SELECT table_name || ' ' || column_name || CASE WHEN is_nullable = 'NO' THEN ' NOT NULL' ELSE '' END AS v \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' \
             AND table_name NOT LIKE 'message\\_search'"
        }
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in db.texts(sql).await {
        let (table, column) = line.split_once(' ').unwrap();
        tables
            .entry(table.to_owned())
            .or_default()
            .push(column.to_owned());
    }
    for columns in tables.values_mut() {
        columns.sort();
    }
    tables
}

#[tokio::test]
async fn no_table_has_more_columns_than_diesel_compiles_quickly() {
    let all = [
        tables(&Db::sqlite().await).await,
        tables(&Db::postgres().await).await,
    ];
    for (table, columns) in all.into_iter().flatten() {
        let count = columns.len();
        assert!(
            count <= MOST_COLUMNS,
            "{table} has {count} columns: see docs/adr/0021-other-fields.md"
        );
    }
}

/// The names of our indexes.
async fn indexes(db: &Db) -> Vec<String> {
    let sql = match db.kind {
        Kind::Sqlite => {
            "SELECT name AS v FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
        }
        Kind::Postgres => {
            "SELECT indexname AS v FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pkey' \
             AND indexname NOT LIKE '%\\_key' AND indexname NOT LIKE 'message\\_search\\_%' ORDER BY indexname COLLATE \"C\""
        }
    };
    db.texts(sql).await
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_indexes() {
    let (sqlite, postgres) = (Db::sqlite().await, Db::postgres().await);
    let found = tables(&sqlite).await;
    assert!(found.contains_key("messages"), "{found:?}");
    assert_eq!(found, tables(&postgres).await);
    assert_eq!(indexes(&sqlite).await, indexes(&postgres).await);
}
