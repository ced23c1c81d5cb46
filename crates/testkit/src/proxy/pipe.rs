//! One connection through the proxy.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Flags, Habits, Mode, Order};

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

/// A connection from a client to upstream.
pub(super) struct Pipe {
    pub(super) order: watch::Receiver<Order>,
    pub(super) habits: Habits,
    pub(super) flags: Arc<Flags>,
}

impl Pipe {
    /// Carries both ways until both have ended, or one is reset.
    pub(super) async fn run(self, client: TcpStream, upstream: SocketAddr) {
        let mut client = Side::new(client);
        let Ok(server) = TcpStream::connect(upstream).await else {
            // That upstream refuses is a reply, too.
            until_heard(self.order).await;
            return;
        };
        let mut server = Side::new(server);
        let ended = {
            let (from_client, to_client) = client.stream.split();
            let (from_server, to_server) = server.stream.split();
            tokio::try_join!(
                Lane::new(Way::Requests, &self).carry(from_client, to_server),
                Lane::new(Way::Replies, &self).carry(from_server, to_client),
            )
        };
        client.ended = ended.is_ok();
        server.ended = ended.is_ok();
    }

    /// Marks the connection, or changes the request, if there is reason to.
    fn note(&self, request: &mut [u8]) {
        if self
            .habits
            .marks
            .is_some_and(|words| place(request, words).is_some())
        {
            self.flags.marked.store(true, Ordering::Relaxed);
        }
        if let Some((these, others)) = self.habits.rewrites {
            while let Some(at) = place(request, these) {
                request[at..at + these.len()].copy_from_slice(others.as_bytes());
            }
        }
    }
}

fn place(text: &[u8], words: &str) -> Option<usize> {
    text.windows(words.len())
        .position(|window| window == words.as_bytes())
}

async fn until_heard(mut order: watch::Receiver<Order>) {
    let heard = |order: &Order| !order.of(false).swallows(Way::Replies);
    let _ = order.wait_for(heard).await;
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
    pipe: &'a Pipe,
    order: watch::Receiver<Order>,
    waiting: VecDeque<(Instant, Read)>,
}

impl<'a> Lane<'a> {
    fn new(way: Way, pipe: &'a Pipe) -> Self {
        Self {
            way,
            pipe,
            order: pipe.order.clone(),
            waiting: VecDeque::new(),
        }
    }

    fn mode(&mut self) -> Mode {
        let marked = self.pipe.flags.marked.load(Ordering::Relaxed);
        self.order.borrow_and_update().of(marked)
    }

    async fn carry(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut open = true;
        let mut buffer = vec![0; CHUNK];
        loop {
            let mode = self.mode();
            if mode == Mode::Cut {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if mode.swallows(self.way) && !self.waiting.is_empty() {
                self.lose();
                self.waiting.clear();
            }
            let due = self.waiting.front().map(|(at, _)| *at + mode.delay());
            tokio::select! {
                biased;
                changed = self.order.changed() => {
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
                    let mut read = match read {
                        Ok(0) => Read::End,
                        Ok(length) => Read::Chunk(buffer[..length].to_vec()),
                        Err(error) => Read::Reset(error),
                    };
                    open = matches!(read, Read::Chunk(_));
                    if let (Way::Requests, Read::Chunk(chunk)) = (self.way, &mut read) {
                        self.pipe.note(chunk);
                    }
                    self.waiting.push_back((Instant::now(), read));
                }
            }
        }
    }

    fn lose(&self) {
        self.pipe.flags.lossy.store(true, Ordering::Relaxed);
    }

    /// A chunk of which only a part has left when the switch is thrown has lost its rest.
    async fn write(&mut self, to: &mut WriteHalf<'_>, chunk: &[u8]) -> io::Result<()> {
        let marked = self.pipe.flags.marked.load(Ordering::Relaxed);
        let way = self.way;
        let written = {
            let swallowing = self.order.wait_for(|order| order.of(marked).swallows(way));
            tokio::select! {
                biased;
                _ = swallowing => None,
                written = to.write_all(chunk) => Some(written),
            }
        };
        written.unwrap_or_else(|| {
            self.lose();
            Ok(())
        })
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
