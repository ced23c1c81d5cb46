//! Several hosts, of which one is a standby: reads and writes go to the primary.

use parlance_storage::{Database, DatabaseUrl, Settings, StorageError, pending_migrations};
use parlance_testkit::Postgres;

use crate::support::{Db, at, open, owner};

/// `host:port` of a server's URL.
fn host(server: &Postgres) -> &str {
    let (_, rest) = server.url().split_once('@').unwrap();
    rest.split('/').next().unwrap()
}

fn with_hosts(db: &Db, hosts: &str) -> Settings {
    let DatabaseUrl::Postgres(url) = &db.settings.url else {
        panic!("only Postgres has hosts");
    };
    let name = url.rsplit('/').next().unwrap();
    let url = format!("postgres://postgres@{hosts}/{name}?target_session_attrs=any");
    Settings {
        url: DatabaseUrl::parse(&url).unwrap(),
        ..db.settings.clone()
    }
}

/// The standby is named first, and the URL would accept it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_not_connected_to() {
    let primary = Postgres::start(parlance_testkit::PostgresConfig::default());
    let db = Db::within(&primary).await;
    let standby = primary.standby();

    let hosts = format!("{},{}", host(&standby), host(&primary));
    let both = with_hosts(&db, &hosts);
    let owner = owner("acme");
    let through_both = Database::open(&both).await.unwrap();
    open(&through_both, &owner).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(through_both.begin(&owner, at(0)).await.unwrap());
    }
    drop(held);
    assert!(pending_migrations(&both).await.unwrap().is_empty());
    let connected = "SELECT CAST(count(*) AS text) FROM pg_stat_activity WHERE datname = current_database() \
                     AND pid <> pg_backend_pid()";
    let on_standby = Db::rows_of(&with_url(&db, &standby), connected).await;
    assert_eq!(on_standby, [Some("0".to_owned())]);

    // A single host is checked too, and the error says what to change.
    let refused = Database::open(&with_hosts(&db, host(&standby))).await;
    let Err(StorageError::Unavailable(why)) = refused.map(|_| ()) else {
        panic!("a standby was taken for the primary");
    };
    assert!(
        why.contains("DATABASE_URL") && why.contains("primary"),
        "{why}"
    );
}

/// The same database on another server.
fn with_url(db: &Db, server: &Postgres) -> Settings {
    with_hosts(db, host(server))
}
