//! One connection through the proxy.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Mode;

/// Nothing more is read while so many chunks wait.
const WAITING: usize = 256;
const CHUNK: usize = 16 * 1024;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Replies,
}

impl Mode {
    fn swallows(self, way: Way) -> bool {
        match self {
            Self::Pass | Self::Delay(_) => false,
            Self::Cut | Self::Swallow => true,
            Self::SwallowReplies => way == Way::Replies,
            Self::SwallowRequests => way == Way::Requests,
        }
    }

    fn delay(self) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::Pass
            | Self::Cut
            | Self::Swallow
            | Self::SwallowReplies
            | Self::SwallowRequests => Duration::ZERO,
        }
    }
}

/// One side's socket, which is reset when this is dropped before its time.
struct Side {
    stream: TcpStream,
    ended: bool,
}

impl Side {
    fn new(stream: TcpStream) -> Self {
        // A socket that is gone already needs no options.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            ended: false,
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// Carries both ways until both have ended, or one is reset.
pub(super) async fn run(
    client: TcpStream,
    upstream: SocketAddr,
    mode: watch::Receiver<Mode>,
    lossy: Arc<AtomicBool>,
) {
    let mut client = Side::new(client);
    let Ok(server) = TcpStream::connect(upstream).await else {
        // That upstream refuses is a reply, too.
        until_heard(mode).await;
        return;
    };
    let mut server = Side::new(server);
    let ended = {
        let (from_client, to_client) = client.stream.split();
        let (from_server, to_server) = server.stream.split();
        let requests = Lane::new(Way::Requests, mode.clone(), &lossy);
        let replies = Lane::new(Way::Replies, mode, &lossy);
        tokio::try_join!(
            requests.carry(from_client, to_server),
            replies.carry(from_server, to_client),
        )
    };
    client.ended = ended.is_ok();
    server.ended = ended.is_ok();
}

async fn until_heard(mut mode: watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| !mode.swallows(Way::Replies)).await;
}

/// What was read.
enum Read {
    Chunk(Vec<u8>),
    End,
    Reset(io::Error),
}

/// One way of a connection.
struct Lane<'a> {
    way: Way,
    mode: watch::Receiver<Mode>,
    lossy: &'a AtomicBool,
    waiting: VecDeque<(Instant, Read)>,
}

impl<'a> Lane<'a> {
    fn new(way: Way, mode: watch::Receiver<Mode>, lossy: &'a AtomicBool) -> Self {
        Self {
            way,
            mode,
            lossy,
            waiting: VecDeque::new(),
        }
    }

    async fn carry(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut open = true;
        let mut buffer = vec![0; CHUNK];
        loop {
            let mode = *self.mode.borrow_and_update();
            if mode.swallows(self.way) && !self.waiting.is_empty() {
                self.lossy.store(true, Ordering::Relaxed);
                self.waiting.clear();
            }
            let due = self.waiting.front().map(|(at, _)| *at + mode.delay());
            tokio::select! {
                biased;
                changed = self.mode.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = until(due) => {
                    match self.waiting.pop_front() {
                        Some((_, Read::Chunk(chunk))) => self.write(&mut to, &chunk).await?,
                        Some((_, Read::End)) => return to.shutdown().await,
                        Some((_, Read::Reset(error))) => return Err(error),
                        None => {}
                    }
                }
                read = from.read(&mut buffer), if open && self.waiting.len() < WAITING => {
                    let read = match read {
                        Ok(0) => Read::End,
                        Ok(length) => Read::Chunk(buffer[..length].to_vec()),
                        Err(error) => Read::Reset(error),
                    };
                    open = matches!(read, Read::Chunk(_));
                    self.waiting.push_back((Instant::now(), read));
                }
            }
        }
    }

    /// A chunk of which only a part has left when the switch is thrown has lost its rest.
    async fn write(&mut self, to: &mut WriteHalf<'_>, chunk: &[u8]) -> io::Result<()> {
        let swallowing = self.mode.wait_for(|mode| mode.swallows(self.way));
        tokio::select! {
            biased;
            _ = swallowing => {
                self.lossy.store(true, Ordering::Relaxed);
                Ok(())
            }
            written = to.write_all(chunk) => written,
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
