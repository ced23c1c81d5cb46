//! The database goes away while messages are under way.

use parlance_domain::MessageStatus;

use crate::support::{Db, HOUR, SECOND, Step, World, pace};
use parlance_storage::DatabaseUrl;
use parlance_testkit::Postgres;

/// Nobody gets into this database any more, or everybody does again.
async fn admit(world: &World, admit: bool) {
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
        .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {admit}"))
        .await
        .unwrap();
    if !admit {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        client.batch_execute(&end).await.unwrap();
    }
    connection.abort();
}

/// It is away for longer than a lease lasts. What the provider has said meanwhile is not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn longer_than_the_lease() {
    let mut db = Db::postgres().await;
    db.settings.acquire_timeout = SECOND * 5;
    let world = World::new(db).await;
    let sent = world.send_to_each(0..20, |outgoing| outgoing).await;
    let dispatcher = world.dispatcher(pace()).await;
    dispatcher.wire.hold(Some(Step::Accepted));
    dispatcher.wire.until_held(sent.len()).await;
    admit(&world, false).await;
    dispatcher.wire.hold(None);
    dispatcher.wire.until_none_held().await;
    // The scribe has tried before its leases are over, and after.
    dispatcher.until_tried_again().await;
    world.clock.advance(HOUR * 2);
    dispatcher.until_tried_again().await;
    admit(&world, true).await;
    world.until_all_left().await;
    assert_eq!(
        world.far.calls(),
        sent.len(),
        "nothing was handed over again"
    );
    for id in sent {
        assert_eq!(world.status(id).await, MessageStatus::Sent);
    }
}
