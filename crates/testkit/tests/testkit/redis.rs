use std::time::Duration;

use parlance_testkit::{Redis, RedisCluster};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn connect(redis: &Redis) -> TcpStream {
    let address = redis
        .url()
        .trim_start_matches("redis://")
        .trim_end_matches('/');
    TcpStream::connect(address).await.unwrap()
}

/// Sends one inline command and returns the first bytes of the reply.
async fn ask(stream: &TcpStream, command: &str) -> String {
    stream.writable().await.unwrap();
    stream
        .try_write(format!("{command}\r\n").as_bytes())
        .unwrap();
    let mut reply = [0; 256];
    loop {
        stream.readable().await.unwrap();
        match stream.try_read(&mut reply) {
            Ok(read) => return String::from_utf8_lossy(&reply[..read]).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => panic!("{command}: {e}"),
        }
    }
}

#[tokio::test]
async fn servers_are_separate_and_end_on_drop() {
    let (one, other) = (Redis::start(), Redis::start());
    assert_eq!(ask(&connect(&one).await, "SET k v").await, "+OK\r\n");
    assert_eq!(ask(&connect(&other).await, "GET k").await, "$-1\r\n");
    let (pid, dir) = (one.pid(), one.dir().to_owned());
    drop(one);
    assert!(!super::is_alive(pid));
    assert!(!dir.exists());
}

#[tokio::test]
async fn extra_arguments_reach_the_server() {
    let redis = Redis::start_with(["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"]);
    let reply = ask(&connect(&redis).await, "CONFIG GET maxmemory-policy").await;
    assert!(reply.contains("allkeys-lru"), "{reply}");
}

#[tokio::test]
async fn a_killed_server_comes_back_empty_on_the_same_port() {
    let redis = Redis::start();
    ask(&connect(&redis).await, "SET k v").await;
    redis.kill9();
    redis.restart().await;
    assert_eq!(ask(&connect(&redis).await, "GET k").await, "$-1\r\n");
    // And again, from a running server.
    redis.restart().await;
    assert_eq!(ask(&connect(&redis).await, "PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn a_paused_server_replies_after_it_is_resumed() {
    let redis = Redis::start();
    let stream = connect(&redis).await;
    ask(&stream, "PING").await;
    redis.pause();
    assert!(
        timeout(Duration::from_millis(50), ask(&stream, "PING"))
            .await
            .is_err()
    );
    redis.resume();
    assert_eq!(ask(&stream, "PING").await.len() % 7, 0);
}

#[test]
#[should_panic(expected = "Redis::start")]
fn the_shared_server_cannot_be_killed() {
    Redis::shared().kill9();
}

#[tokio::test]
async fn a_cluster_shares_its_slots_and_accepts_replicas() {
    let mut cluster = RedisCluster::start().await;
    let slots: String = (0..3).map(|node| cluster.ask(node, "GET k")).collect();
    assert_eq!(slots.matches("MOVED").count(), 2, "{slots}");
    let replica = cluster.add_replica(0).await;
    assert_eq!((replica, cluster.nodes().len()), (3, 4));
    let nodes = cluster.ask(replica, "CLUSTER NODES");
    assert_eq!(nodes.matches("master").count(), 3, "{nodes}");
    assert!(
        nodes.contains(&format!("slave {}", cluster.id(0))),
        "{nodes}"
    );
}

#[tokio::test]
async fn a_tls_server_refuses_plain_connections() {
    let redis = Redis::start_tls();
    assert!(redis.url().starts_with("rediss://"));
    assert!(redis.ca_file().is_file());
    let address = redis.url().trim_start_matches("rediss://");
    let stream = TcpStream::connect(address.trim_end_matches('/')).await;
    let stream = stream.unwrap();
    stream.try_write(b"PING\r\n").unwrap();
    stream.readable().await.unwrap();
    let mut reply = [0; 16];
    let plain = stream
        .try_read(&mut reply)
        .is_ok_and(|_| reply.starts_with(b"+PONG"));
    assert!(!plain);
}
