//! Redis commands over a plain connection.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Sends a command and returns the first line of the reply. Arguments must not contain line breaks.
pub(crate) async fn command(redis: SocketAddr, arguments: &[&str]) -> String {
    send(redis, arguments).await.0
}

/// The value of a key, if there is one.
pub(crate) async fn get(redis: SocketAddr, key: &str) -> Option<String> {
    text(redis, &["GET", key]).await
}

/// A number from `INFO`.
pub(crate) async fn info_number(redis: SocketAddr, section: &str, name: &str) -> u64 {
    let info = text(redis, &["INFO", section]).await.unwrap_or_default();
    let number = info.lines().find_map(|line| {
        let number = line.strip_prefix(name)?.strip_prefix(':')?;
        number.trim().parse().ok()
    });
    number.expect("a Redis that counts")
}

async fn text(redis: SocketAddr, command: &[&str]) -> Option<String> {
    let (line, mut rest) = send(redis, command).await;
    let length = line.strip_prefix('$')?.parse().ok()?;
    let mut value = vec![0; length];
    let read = rest.read_exact(&mut value).await;
    read.expect("a Redis that answers to the end");
    String::from_utf8(value).ok()
}

async fn send(redis: SocketAddr, arguments: &[&str]) -> (String, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(redis).await.expect("a Redis");
    let mut command = format!("*{}\r\n", arguments.len());
    for argument in arguments {
        command.push_str(&bulk(argument));
    }
    stream
        .write_all(command.as_bytes())
        .await
        .expect("a Redis that reads");
    let (mut line, mut stream) = (String::new(), BufReader::new(stream));
    let read = stream.read_line(&mut line).await;
    read.expect("a Redis that answers");
    (line.trim_end().to_owned(), stream)
}

fn bulk(argument: &str) -> String {
    format!("${}\r\n{argument}\r\n", argument.len())
}
