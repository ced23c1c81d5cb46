//! Postgres becomes unavailable in every possible way, and returns.

use std::time::{Duration, Instant};

use parlance_storage::feed::Position;
use parlance_storage::{Database, DatabaseUrl, StorageError};
use parlance_testkit::{Postgres, PostgresConfig, Proxy, eventually};

use crate::support::{Db, SOON, append, at, open, owner};

/// Makes the pool open several idle connections.
async fn warmed(db: &Database, connections: usize) {
    let owner = owner("acme");
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(db.begin(&owner, at(0)).await.unwrap());
    }
    for tx in held {
        tx.rollback().await.unwrap();
    }
    assert!(db.pool_status().idle as usize >= connections);
}

/// The pool does not test idle connections. All of them have died: the first caller must not see an error, however many
/// there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_while_idle_cause_no_error() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let admin = db.client().await;
    for round in 0..4 {
        warmed(&db.open, 6).await;
        let sql = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let killed: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
        assert!(killed >= 6, "{killed}");
        let now = at(0);
        match round {
            0 => assert!(
                db.open
                    .conversation(&owner, target)
                    .await
                    .unwrap()
                    .is_some()
            ),
            1 => db
                .open
                .begin(&owner, now)
                .await
                .unwrap()
                .rollback()
                .await
                .unwrap(),
            2 => drop(db.open.feed_now().await.unwrap()),
            _ => drop(db.open.feed_page(Position::default(), 1).await.unwrap()),
        }
    }
}

/// If the connection of a transaction dies, the transaction is lost: its caller gets an error, and nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_on_a_dead_connection_is_unavailable() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let admin = db.client().await;
    let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
    crate::support::write::append_uncommitted(&mut tx, target)
        .await
        .unwrap();
    let sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(admin.query(sql, &[]).await.unwrap().len(), 1);
    let sink = crate::support::recording_sink();
    let committed = tx.commit(&sink).await;
    assert!(
        matches!(committed, Err(StorageError::Unavailable(_))),
        "{committed:?}"
    );
    assert_eq!(sink.all(), []);
    assert_eq!(append(&db.open, &owner, target).await.unwrap().sequence, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_is_unavailable_in_time_and_usable_afterwards() {
    let server = Postgres::start(PostgresConfig::default());
    let db = Db::within(&server).await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let patience = Duration::from_secs(2);
    let one = db
        .opened(|settings| {
            settings.pool_size = 1;
            settings.acquire_timeout = patience;
        })
        .await;
    let tx = one.begin(&owner, at(0)).await.unwrap();
    server.pause();
    // The one connection is taken, so no caller gets one.
    let began = Instant::now();
    let read = tokio::time::timeout(SOON, one.conversation(&owner, target))
        .await
        .expect("in time");
    assert!(matches!(read, Err(StorageError::Busy)), "{read:?}");
    assert!(began.elapsed() >= patience, "it was not waited for");

    // A caller that holds one hangs until it gives up; after that its connection is not used any more.
    drop(tx);
    let hangs = tokio::time::timeout(patience, one.ping()).await;
    assert!(!matches!(hangs, Ok(Ok(()))));
    // A new pool does not open either, and reports why.
    let mut settings = db.settings.clone();
    settings.acquire_timeout = patience;
    let opened = tokio::time::timeout(SOON, Database::open(&settings))
        .await
        .expect("in time");
    assert!(matches!(opened, Err(StorageError::Unavailable(_))));

    server.resume();
    eventually(SOON, async || append(&one, &owner, target).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_found_again() {
    let server = Postgres::start(PostgresConfig {
        synchronous_commit: true,
        ..PostgresConfig::default()
    });
    let db = Db::within(&server).await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let hasty = db
        .opened(|settings| settings.acquire_timeout = Duration::from_secs(5))
        .await;
    append(&hasty, &owner, target).await.unwrap();
    warmed(&hasty, 4).await;

    server.kill9();
    for _ in 0..3 {
        let read = hasty.conversation(&owner, target).await;
        assert!(
            matches!(read, Err(StorageError::Unavailable(_))),
            "{read:?}"
        );
        let begun = hasty.begin(&owner, at(0)).await.map(|_| ());
        assert!(
            matches!(begun, Err(StorageError::Unavailable(_))),
            "{begun:?}"
        );
    }

    server.restart().await;
    let found = eventually(SOON, async || hasty.conversation(&owner, target).await.ok()).await;
    assert_eq!(found.unwrap().last_sequence, 1);
    warmed(&hasty, 4).await;
    assert_eq!(append(&hasty, &owner, target).await.unwrap().sequence, 2);
}

/// A refusal is recognized by the server's messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_free_slot_is_unavailable() {
    let server = Postgres::start(PostgresConfig {
        max_connections: 5,
        ..PostgresConfig::default()
    });
    let db = Db::within(&server).await;
    let mut taken = Vec::new();
    let mut settings = db.settings.clone();
    settings.acquire_timeout = Duration::from_secs(2);
    loop {
        let url = match &settings.url {
            parlance_storage::DatabaseUrl::Postgres(url) => url.clone(),
            parlance_storage::DatabaseUrl::Sqlite(_) => unreachable!("within a server"),
        };
        match tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                taken.push(client);
            }
            Err(_) => break,
        }
    }
    let opened = Database::open(&settings).await.map(|_| ());
    assert!(
        matches!(opened, Err(StorageError::Unavailable(_))),
        "{opened:?}"
    );
    drop(taken);
    eventually(SOON, async || Database::open(&settings).await.ok()).await;
}

/// A pool of one connection behind a proxy that can drop it silently.
async fn behind_a_proxy(db: &Db) -> (Database, Proxy) {
    let DatabaseUrl::Postgres(url) = &db.settings.url else {
        panic!("SQLite has no connections to lose");
    };
    let config: tokio_postgres::Config = url.parse().unwrap();
    let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
        panic!("{url} names no host");
    };
    let address = format!("{host}:{}", config.get_ports()[0]);
    let upstream = tokio::net::lookup_host(&address).await.unwrap().next();
    let proxy = Proxy::start(upstream.unwrap());
    let url = url.replacen(&address, &proxy.address().to_string(), 1);
    let open = db
        .opened(|settings| {
            settings.url = DatabaseUrl::parse(&url).unwrap();
            settings.pool_size = 1;
            settings.statement_timeout = Duration::from_millis(500);
        })
        .await;
    (open, proxy)
}

/// Its packets are dropped and no reset arrives: only the client's own limit ends the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_on_a_silently_dropped_connection_is_answered_by_another() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let (lossy, proxy) = behind_a_proxy(&db).await;
    for _ in 0..2 {
        lossy.ping().await.unwrap();
        proxy.strand();
        let read = tokio::time::timeout(SOON, lossy.conversation(&owner, target)).await;
        assert!(read.expect("it ends").unwrap().is_some());
        proxy.strand();
        let begun = tokio::time::timeout(SOON, lossy.begin(&owner, at(0))).await;
        begun.expect("it ends").unwrap().rollback().await.unwrap();
    }
}

/// Whether it was executed is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_unavailable_and_uncertain() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let (lossy, proxy) = behind_a_proxy(&db).await;
    let mut tx = lossy.begin(&owner, at(0)).await.unwrap();
    crate::support::write::append_uncommitted(&mut tx, target)
        .await
        .unwrap();
    proxy.lose_replies();
    let sink = crate::support::recording_sink();
    let committed = tokio::time::timeout(SOON, tx.commit(&sink)).await;
    let error = committed.expect("it ends").unwrap_err();
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    assert_eq!(sink.all(), [], "it is not reported as committed");
    let found = eventually(SOON, async || {
        let found = db.open.conversation(&owner, target).await.unwrap().unwrap();
        (found.last_sequence == 1).then_some(found)
    })
    .await;
    assert_eq!(found.last_sequence, 1, "it was carried out all the same");
    proxy.heal();
    eventually(SOON, async || lossy.ping().await.ok()).await;
}
