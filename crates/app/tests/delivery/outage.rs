//! The database becomes unavailable during hand-overs.

use parlance_app::Reason;
use parlance_domain::MessageStatus;

use crate::support::{Db, HOUR, Outgoing, SECOND, SOON, Step, World, pace};
use parlance_storage::DatabaseUrl;
use parlance_testkit::{Postgres, PostgresConfig};

/// Permits or refuses connections to the database.
async fn allow_connections(world: &World, allow: bool) {
    let DatabaseUrl::Postgres(url) = &world.db.settings.url else {
        panic!("this database has no server");
    };
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let (client, connection) =
        tokio_postgres::connect(Postgres::shared().url(), tokio_postgres::NoTls)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}"))
        .await
        .unwrap();
    if !allow {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        client.batch_execute(&end).await.unwrap();
    }
    connection.abort();
}

/// The database is unavailable for longer than a lease. Responses received meanwhile are not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_survive_an_outage_longer_than_the_lease() {
    let mut db = Db::postgres().await;
    db.settings.acquire_timeout = SECOND * 5;
    let world = World::new(db).await;
    let sent = world.send_to_each(0..20, |outgoing| outgoing).await;
    let dispatcher = world.dispatcher(pace()).await;
    dispatcher.wire.hold(Some(Step::Accepted));
    dispatcher.wire.until_held(sent.len()).await;
    allow_connections(&world, false).await;
    dispatcher.wire.hold(None);
    dispatcher.wire.until_none_held().await;
    // The outcome writer has retried before its leases expired, and after.
    dispatcher.until_tried_again().await;
    world.clock.advance(HOUR * 2);
    dispatcher.until_tried_again().await;
    allow_connections(&world, true).await;
    world.until_all_left().await;
    assert_eq!(
        world.provider.calls(),
        sent.len(),
        "nothing was handed over again"
    );
    for id in sent {
        assert_eq!(world.status(id).await, MessageStatus::Sent);
    }
}

/// The database refuses writes for longer than a lease, like a server that was set to read-only because of a full disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_waits_while_writes_are_refused() {
    let server = Postgres::start(PostgresConfig::default());
    let world = World::new(Db::within(&server).await).await;
    let sent = world.send_to_each(0..20, |outgoing| outgoing).await;
    let dispatcher = world.dispatcher(pace()).await;
    dispatcher.wire.hold(Some(Step::Accepted));
    dispatcher.wire.until_held(sent.len()).await;
    let database = world.front.database();
    read_only(&world, true).await;
    dispatcher.wire.hold(None);
    dispatcher.wire.until_none_held().await;
    // More often than an outcome is retried that is refused because of its content.
    for _ in 0..8 {
        dispatcher.until_tried_again().await;
        world.clock.advance(HOUR);
    }
    let refused = world.try_send(Outgoing::to(99)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::DatabaseUnavailable, "{refused}");
    assert!(refused.retry_after.is_some());
    assert!(database.check_writes().await.is_err());
    read_only(&world, false).await;
    world.until_all_left().await;
    assert_eq!(
        world.provider.calls(),
        sent.len(),
        "nothing was handed over again"
    );
    for id in sent {
        assert_eq!(world.status(id).await, MessageStatus::Sent);
    }
    database.check_writes().await.unwrap();
}

/// The statement time-out of this database is practically unlimited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_claim_is_cancelled() {
    let mut db = Db::postgres().await;
    db.settings.statement_timeout = HOUR;
    let world = World::new(db).await;
    let dispatcher = world.dispatcher(pace()).await;
    let client = world.db.client().await;
    client
        .batch_execute("BEGIN; LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    dispatcher.until_tried_again().await;
    client.batch_execute("ROLLBACK").await.unwrap();
    world.send_to_each(0..1, |outgoing| outgoing).await;
    world.until_all_left().await;
}

/// Sets the default mode of transactions.
async fn read_only(world: &World, on: bool) {
    let client = world.db.client().await;
    // Separate statements: ALTER SYSTEM is not possible within a transaction.
    client
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
    client.batch_execute(&set).await.unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    // A session reads the new setting between two statements.
    let expected = if on { "on" } else { "off" };
    parlance_testkit::eventually(SOON, async || {
        let mode = "SELECT current_setting('default_transaction_read_only') AS v";
        (world.db.texts(mode).await == [expected]).then_some(())
    })
    .await;
}
