use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlance_testkit::{Proxy, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::SOON;

/// Long enough for a chunk that may pass, on a loopback.
const MOMENT: Duration = Duration::from_millis(500);

/// Says each line again, and tells of what it heard.
struct Echo {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream, tell.clone()));
            }
        });
        Self { address, heard }
    }

    async fn hears(&mut self) -> String {
        timeout(SOON, self.heard.recv()).await.unwrap().unwrap()
    }
}

async fn echo(mut stream: TcpStream, tell: mpsc::UnboundedSender<String>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = stream.read(&mut buffer).await {
        let _ = tell.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
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

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn hear(stream: &mut TcpStream, length: usize) -> std::io::Result<String> {
    let mut buffer = vec![0; length];
    let read = timeout(SOON, stream.read_exact(&mut buffer)).await;
    read.expect("an answer or an error")?;
    Ok(String::from_utf8(buffer).unwrap())
}

async fn talk(stream: &mut TcpStream, text: &str) {
    say(stream, text).await;
    assert_eq!(hear(stream, text.len()).await.unwrap(), text);
}

async fn hears_nothing(stream: &mut TcpStream) {
    let mut buffer = [0; 16];
    let read = timeout(MOMENT, stream.read(&mut buffer)).await;
    assert!(read.is_err(), "{read:?}");
}

/// It was reset.
async fn is_reset(stream: &mut TcpStream) {
    let error = hear(stream, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn everything_passes_until_a_switch_is_thrown() {
    let (_echo, proxy, mut client) = setup().await;
    talk(&mut client, "hello").await;
    let long = "0123456789".repeat(100_000);
    let (mut read, mut write) = client.split();
    let sending = write.write_all(long.as_bytes());
    let mut back = vec![0; long.len()];
    let receiving = read.read_exact(&mut back);
    let (sent, received) = tokio::join!(sending, receiving);
    assert!(sent.is_ok() && received.is_ok());
    assert!(back == long.as_bytes());
    drop(client);
    talk(
        &mut TcpStream::connect(proxy.address()).await.unwrap(),
        "again",
    )
    .await;
}

#[tokio::test]
async fn the_end_of_a_connection_passes_too() {
    let (mut echo, _proxy, mut client) = setup().await;
    talk(&mut client, "hello").await;
    assert_eq!(echo.hears().await, "hello");
    client.shutdown().await.unwrap();
    assert_eq!(echo.hears().await, "");
    let mut rest = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn a_cut_resets_and_refuses() {
    let (mut echo, proxy, mut client) = setup().await;
    talk(&mut client, "hello").await;
    assert_eq!(echo.hears().await, "hello");
    proxy.cut();
    is_reset(&mut client).await;
    for _ in 0..3 {
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    proxy.heal();
    talk(
        &mut TcpStream::connect(proxy.address()).await.unwrap(),
        "again",
    )
    .await;
}

#[tokio::test]
async fn a_black_hole_swallows_both_ways() {
    let (mut echo, proxy, mut client) = setup().await;
    talk(&mut client, "hello").await;
    assert_eq!(echo.hears().await, "hello");
    proxy.black_hole();
    let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
    let mut quiet = TcpStream::connect(proxy.address()).await.unwrap();
    for stream in [&mut client, &mut fresh] {
        say(stream, "lost").await;
        hears_nothing(stream).await;
    }
    proxy.heal();
    is_reset(&mut client).await;
    is_reset(&mut fresh).await;
    talk(&mut quiet, "nothing of this one was lost").await;
    assert_eq!(echo.hears().await, "nothing of this one was lost");
}

#[tokio::test]
async fn stranded_connections_stay_silent_and_new_ones_do_not() {
    let (_echo, proxy, mut stranded) = setup().await;
    talk(&mut stranded, "before").await;
    proxy.strand();
    say(&mut stranded, "during").await;
    let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
    talk(&mut fresh, "fresh").await;
    proxy.heal();
    talk(&mut fresh, "again").await;
    hears_nothing(&mut stranded).await;
}

#[tokio::test]
async fn replies_are_lost_and_requests_are_not() {
    let (mut echo, proxy, mut client) = setup().await;
    proxy.lose_replies();
    say(&mut client, "done all the same").await;
    assert_eq!(echo.hears().await, "done all the same");
    hears_nothing(&mut client).await;
    proxy.heal();
    is_reset(&mut client).await;
}

#[tokio::test]
async fn requests_are_lost() {
    let (mut echo, proxy, mut client) = setup().await;
    talk(&mut client, "hello").await;
    assert_eq!(echo.hears().await, "hello");
    proxy.lose_requests();
    say(&mut client, "lost").await;
    hears_nothing(&mut client).await;
    assert!(echo.heard.try_recv().is_err());
    proxy.heal();
    is_reset(&mut client).await;
}

/// Half of a stream makes no sense, whatever comes next.
#[tokio::test]
async fn what_was_lost_is_not_passed_over_by_the_next_switch() {
    let (mut echo, proxy, mut client) = setup().await;
    proxy.black_hole();
    say(&mut client, "lost").await;
    hears_nothing(&mut client).await;
    proxy.lose_replies();
    is_reset(&mut client).await;
    assert_ne!(echo.heard.try_recv(), Ok("lost".to_owned()));
}

#[tokio::test]
async fn chunks_are_late_and_in_order() {
    let (_echo, proxy, mut client) = setup().await;
    proxy.delay(MOMENT);
    let started = Instant::now();
    for word in ["one ", "two ", "three"] {
        say(&mut client, word).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(hear(&mut client, 13).await.unwrap(), "one two three");
    // There and back; how much later is the machine's affair.
    assert!(started.elapsed() >= 2 * MOMENT);
}

#[tokio::test]
async fn what_is_late_passes_at_once_when_all_is_well() {
    let (mut echo, proxy, mut client) = setup().await;
    proxy.delay(Duration::from_hours(1));
    say(&mut client, "late").await;
    hears_nothing(&mut client).await;
    proxy.heal();
    assert_eq!(hear(&mut client, 4).await.unwrap(), "late");
    assert_eq!(echo.hears().await, "late");
}

#[tokio::test]
async fn an_upstream_that_is_away_resets_who_connects() {
    let (_echo, proxy, _client) = setup().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = Proxy::start(gone.local_addr().unwrap());
    drop(gone);
    // The reset may come before the client knows that it was connected.
    match TcpStream::connect(nobody.address()).await {
        Ok(mut client) => is_reset(&mut client).await,
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    nobody.black_hole();
    let mut client = TcpStream::connect(nobody.address()).await.unwrap();
    hears_nothing(&mut client).await;
    assert_ne!(nobody.address(), proxy.address());
}

#[tokio::test]
async fn it_ends_with_its_owner() {
    let (_echo, proxy, mut client) = setup().await;
    talk(&mut client, "hello").await;
    let address = proxy.address();
    drop(proxy);
    is_reset(&mut client).await;
    eventually(SOON, async || TcpStream::connect(address).await.err()).await;
}

#[tokio::test]
async fn who_says_the_words_is_marked() {
    let echo = Echo::start().await;
    let proxy = Proxy::start_marking(echo.address, "please");
    let connect = || TcpStream::connect(proxy.address());
    let mut rude = connect().await.unwrap();
    let mut polite = connect().await.unwrap();
    talk(&mut rude, "give").await;
    talk(&mut polite, "please give").await;
    proxy.black_hole_marked();
    say(&mut polite, "lost").await;
    hears_nothing(&mut polite).await;
    talk(&mut rude, "give").await;
    proxy.cut_marked();
    is_reset(&mut polite).await;
    talk(&mut rude, "give").await;
    let mut again = connect().await.unwrap();
    talk(&mut again, "give").await;
    say(&mut again, "please give").await;
    is_reset(&mut again).await;
    proxy.heal();
    talk(&mut connect().await.unwrap(), "please give").await;
    proxy.delay_marked(Duration::from_hours(1));
    talk(&mut rude, "give").await;
    let mut late = connect().await.unwrap();
    say(&mut late, "please give").await;
    hears_nothing(&mut late).await;
}

#[tokio::test]
async fn words_become_others_on_the_way() {
    let mut echo = Echo::start().await;
    let proxy = Proxy::start_rewriting(echo.address, "in 5 s", "in 9 h");
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut client, "end in 5 s, or in 5 s").await;
    assert_eq!(
        hear(&mut client, 21).await.unwrap(),
        "end in 9 h, or in 9 h"
    );
    assert_eq!(echo.hears().await, "end in 9 h, or in 9 h");
    // What upstream says is its own.
    talk(&mut client, "in 6 s").await;
}

#[tokio::test]
async fn new_connections_lead_elsewhere() {
    let (mut echo, proxy, mut client) = setup().await;
    let mut other = Echo::start().await;
    // The kernel connects before the proxy accepts: an answer proves that this one was led.
    talk(&mut client, "before").await;
    assert_eq!(echo.hears().await, "before");
    proxy.redirect_to(other.address);
    talk(&mut client, "as before").await;
    assert_eq!(echo.hears().await, "as before");
    talk(
        &mut TcpStream::connect(proxy.address()).await.unwrap(),
        "elsewhere",
    )
    .await;
    assert_eq!(other.hears().await, "elsewhere");
}
