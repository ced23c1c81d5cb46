use std::time::Duration;

use parlance_testkit::{Postgres, PostgresConfig};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn setting(client: &Client, name: &str) -> String {
    client
        .query_one(&format!("SHOW {name}"), &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn two_databases_are_separate() {
    let one = Postgres::shared().create_database().await;
    let other = Postgres::shared().create_database().await;
    assert_ne!(one.name(), other.name());
    let (one, other) = (connect(&one.url).await, connect(&other.url).await);
    one.batch_execute("CREATE TABLE t ()").await.unwrap();
    other.batch_execute("CREATE TABLE t ()").await.unwrap();
}

#[tokio::test]
async fn settings_reach_the_server() {
    let postgres = Postgres::start(PostgresConfig {
        max_connections: 7,
        settings: vec![("work_mem".to_owned(), "5MB".to_owned())],
        ..PostgresConfig::default()
    });
    let client = connect(postgres.url()).await;
    assert_eq!(setting(&client, "max_connections").await, "7");
    assert_eq!(setting(&client, "work_mem").await, "5MB");
    assert_eq!(setting(&client, "synchronous_commit").await, "off");
    assert_eq!(setting(&client, "server_encoding").await, "UTF8");
}

#[tokio::test]
async fn a_killed_server_restarts_with_the_committed_data() {
    let postgres = Postgres::start(PostgresConfig {
        synchronous_commit: true,
        ..PostgresConfig::default()
    });
    let database = postgres.create_database().await;
    let client = connect(&database.url).await;
    client
        .batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
        .await
        .unwrap();
    let killed = postgres.pid();
    postgres.kill9();
    assert!(!super::is_alive(killed));
    assert!(client.batch_execute("SELECT 1").await.is_err());

    postgres.restart().await;
    assert_ne!(postgres.pid(), killed);
    let client = connect(&database.url).await;
    let n: i32 = client
        .query_one("SELECT n FROM t", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(n, 7);
}

#[tokio::test]
async fn a_paused_server_freezes_open_connections_too() {
    let postgres = Postgres::start(PostgresConfig::default());
    let client = connect(postgres.url()).await;
    postgres.pause();
    let hanging = client.batch_execute("SELECT 1");
    assert!(timeout(Duration::from_millis(50), hanging).await.is_err());
    postgres.resume();
    client.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_and_its_directory_are_removed_even_when_paused() {
    let postgres = Postgres::start(PostgresConfig::default());
    let _open = connect(postgres.url()).await;
    let (pid, dir) = (postgres.pid(), postgres.dir().to_owned());
    postgres.pause();
    drop(postgres);
    assert!(!super::is_alive(pid));
    assert!(!dir.exists());
}

#[test]
#[should_panic(expected = "Postgres::start")]
fn the_shared_server_cannot_be_killed() {
    Postgres::shared().kill9();
}
