use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlance_testkit::{Proxy, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::SOON;

/// Long enough for a chunk to pass on the loopback interface.
const GRACE: Duration = Duration::from_millis(500);

/// Echoes received data and records it.
struct Echo {
    address: SocketAddr,
    received: mpsc::UnboundedReceiver<String>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream, sender.clone()));
            }
        });
        Self { address, received }
    }

    async fn next_received(&mut self) -> String {
        timeout(SOON, self.received.recv()).await.unwrap().unwrap()
    }
}

async fn echo(mut stream: TcpStream, sender: mpsc::UnboundedSender<String>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = stream.read(&mut buffer).await {
        let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
        if length == 0 || stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn setup() -> (Echo, Proxy, TcpStream) {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address);
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (echo, proxy, client)
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn receive(stream: &mut TcpStream, length: usize) -> std::io::Result<String> {
    let mut buffer = vec![0; length];
    let read = timeout(SOON, stream.read_exact(&mut buffer)).await;
    read.expect("a reply or an error")?;
    Ok(String::from_utf8(buffer).unwrap())
}

async fn exchange(stream: &mut TcpStream, text: &str) {
    send(stream, text).await;
    assert_eq!(receive(stream, text.len()).await.unwrap(), text);
}

async fn receives_nothing(stream: &mut TcpStream) {
    let mut buffer = [0; 16];
    let read = timeout(GRACE, stream.read(&mut buffer)).await;
    assert!(read.is_err(), "{read:?}");
}

/// Expects that the connection was reset.
async fn is_reset(stream: &mut TcpStream) {
    let error = receive(stream, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn everything_passes_by_default() {
    let (_echo, proxy, mut client) = setup().await;
    exchange(&mut client, "hello").await;
    let long = "0123456789".repeat(100_000);
    let (mut read, mut write) = client.split();
    let sending = write.write_all(long.as_bytes());
    let mut back = vec![0; long.len()];
    let receiving = read.read_exact(&mut back);
    let (sent, received) = tokio::join!(sending, receiving);
    assert!(sent.is_ok() && received.is_ok());
    assert!(back == long.as_bytes());
    drop(client);
    exchange(
        &mut TcpStream::connect(proxy.address()).await.unwrap(),
        "again",
    )
    .await;
}

#[tokio::test]
async fn the_end_of_a_connection_passes_too() {
    let (mut echo, _proxy, mut client) = setup().await;
    exchange(&mut client, "hello").await;
    assert_eq!(echo.next_received().await, "hello");
    client.shutdown().await.unwrap();
    assert_eq!(echo.next_received().await, "");
    let mut rest = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn a_cut_resets_open_connections_and_refuses_new_ones() {
    let (mut echo, proxy, mut client) = setup().await;
    exchange(&mut client, "hello").await;
    assert_eq!(echo.next_received().await, "hello");
    proxy.cut();
    is_reset(&mut client).await;
    for _ in 0..3 {
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    proxy.heal();
    exchange(
        &mut TcpStream::connect(proxy.address()).await.unwrap(),
        "again",
    )
    .await;
}

#[tokio::test]
async fn a_black_hole_swallows_both_ways() {
    let (mut echo, proxy, mut client) = setup().await;
    exchange(&mut client, "hello").await;
    assert_eq!(echo.next_received().await, "hello");
    proxy.black_hole();
    let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
    let mut quiet = TcpStream::connect(proxy.address()).await.unwrap();
    for stream in [&mut client, &mut fresh] {
        send(stream, "lost").await;
        receives_nothing(stream).await;
    }
    proxy.heal();
    is_reset(&mut client).await;
    is_reset(&mut fresh).await;
    exchange(&mut quiet, "nothing of this one was lost").await;
    assert_eq!(echo.next_received().await, "nothing of this one was lost");
}

#[tokio::test]
async fn stranded_connections_stay_silent_and_new_ones_do_not() {
    let (_echo, proxy, mut stranded) = setup().await;
    exchange(&mut stranded, "before").await;
    proxy.strand();
    send(&mut stranded, "during").await;
    let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
    exchange(&mut fresh, "fresh").await;
    proxy.heal();
    exchange(&mut fresh, "again").await;
    receives_nothing(&mut stranded).await;
}

#[tokio::test]
async fn replies_are_lost_and_requests_are_not() {
    let (mut echo, proxy, mut client) = setup().await;
    proxy.lose_replies();
    send(&mut client, "done all the same").await;
    assert_eq!(echo.next_received().await, "done all the same");
    receives_nothing(&mut client).await;
    proxy.heal();
    is_reset(&mut client).await;
}

#[tokio::test]
async fn requests_are_lost() {
    let (mut echo, proxy, mut client) = setup().await;
    exchange(&mut client, "hello").await;
    assert_eq!(echo.next_received().await, "hello");
    proxy.lose_requests();
    send(&mut client, "lost").await;
    receives_nothing(&mut client).await;
    assert!(echo.received.try_recv().is_err());
    proxy.heal();
    is_reset(&mut client).await;
}

/// A stream with a gap is invalid, whichever mode follows.
#[tokio::test]
async fn a_connection_that_lost_data_is_reset_by_the_next_mode() {
    let (mut echo, proxy, mut client) = setup().await;
    proxy.black_hole();
    send(&mut client, "lost").await;
    receives_nothing(&mut client).await;
    proxy.lose_replies();
    is_reset(&mut client).await;
    assert_ne!(echo.received.try_recv(), Ok("lost".to_owned()));
}

#[tokio::test]
async fn delayed_chunks_keep_their_order() {
    let (_echo, proxy, mut client) = setup().await;
    proxy.delay(GRACE);
    let started = Instant::now();
    for word in ["one ", "two ", "three"] {
        send(&mut client, word).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(receive(&mut client, 13).await.unwrap(), "one two three");
    // Once in each direction; how much longer it takes depends on the machine.
    assert!(started.elapsed() >= 2 * GRACE);
}

#[tokio::test]
async fn delayed_chunks_pass_at_once_after_heal() {
    let (mut echo, proxy, mut client) = setup().await;
    proxy.delay(Duration::from_hours(1));
    send(&mut client, "late").await;
    receives_nothing(&mut client).await;
    proxy.heal();
    assert_eq!(receive(&mut client, 4).await.unwrap(), "late");
    assert_eq!(echo.next_received().await, "late");
}

#[tokio::test]
async fn connections_are_reset_while_upstream_is_down() {
    let (_echo, proxy, _client) = setup().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let without_upstream = Proxy::start(closed.local_addr().unwrap());
    drop(closed);
    // The reset may come before the client notices that it was connected.
    match TcpStream::connect(without_upstream.address()).await {
        Ok(mut client) => is_reset(&mut client).await,
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    without_upstream.black_hole();
    let mut client = TcpStream::connect(without_upstream.address())
        .await
        .unwrap();
    receives_nothing(&mut client).await;
    assert_ne!(without_upstream.address(), proxy.address());
}

#[tokio::test]
async fn connections_end_when_the_proxy_is_dropped() {
    let (_echo, proxy, mut client) = setup().await;
    exchange(&mut client, "hello").await;
    let address = proxy.address();
    drop(proxy);
    is_reset(&mut client).await;
    eventually(SOON, async || TcpStream::connect(address).await.err()).await;
}

#[tokio::test]
async fn connections_that_send_the_text_are_marked() {
    let echo = Echo::start().await;
    let proxy = Proxy::start_marking(echo.address, "please");
    let connect = || TcpStream::connect(proxy.address());
    let mut unmarked = connect().await.unwrap();
    let mut marked = connect().await.unwrap();
    exchange(&mut unmarked, "give").await;
    exchange(&mut marked, "please give").await;
    proxy.black_hole_marked();
    send(&mut marked, "lost").await;
    receives_nothing(&mut marked).await;
    exchange(&mut unmarked, "give").await;
    proxy.cut_marked();
    is_reset(&mut marked).await;
    exchange(&mut unmarked, "give").await;
    let mut again = connect().await.unwrap();
    exchange(&mut again, "give").await;
    send(&mut again, "please give").await;
    is_reset(&mut again).await;
    proxy.heal();
    exchange(&mut connect().await.unwrap(), "please give").await;
    proxy.delay_marked(Duration::from_hours(1));
    exchange(&mut unmarked, "give").await;
    let mut late = connect().await.unwrap();
    send(&mut late, "please give").await;
    receives_nothing(&mut late).await;
}

#[tokio::test]
async fn text_from_clients_is_rewritten() {
    let mut echo = Echo::start().await;
    let proxy = Proxy::start_rewriting(echo.address, "in 5 s", "in 9 h");
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    send(&mut client, "end in 5 s, or in 5 s").await;
    assert_eq!(
        receive(&mut client, 21).await.unwrap(),
        "end in 9 h, or in 9 h"
    );
    assert_eq!(echo.next_received().await, "end in 9 h, or in 9 h");
    // Data from upstream is not rewritten.
    exchange(&mut client, "in 6 s").await;
}

#[tokio::test]
async fn new_connections_go_to_the_new_upstream() {
    let (mut echo, proxy, mut client) = setup().await;
    let mut other = Echo::start().await;
    // The kernel completes the connection before the proxy accepts it; only a reply proves that the proxy handled it.
    exchange(&mut client, "before").await;
    assert_eq!(echo.next_received().await, "before");
    proxy.redirect_to(other.address);
    exchange(&mut client, "as before").await;
    assert_eq!(echo.next_received().await, "as before");
    exchange(
        &mut TcpStream::connect(proxy.address()).await.unwrap(),
        "elsewhere",
    )
    .await;
    assert_eq!(other.next_received().await, "elsewhere");
}
