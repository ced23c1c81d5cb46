//! A few words with a Redis.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// The first line of the reply to a command. The arguments may hold anything but line breaks.
pub(crate) async fn tell(redis: SocketAddr, arguments: &[&str]) -> String {
    let mut stream = TcpStream::connect(redis).await.expect("a Redis");
    let mut command = format!("*{}\r\n", arguments.len());
    for argument in arguments {
        command.push_str(&bulk(argument));
    }
    stream
        .write_all(command.as_bytes())
        .await
        .expect("a Redis that listens");
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .await
        .expect("a Redis that answers");
    line.trim_end().to_owned()
}

fn bulk(argument: &str) -> String {
    format!("${}\r\n{argument}\r\n", argument.len())
}
