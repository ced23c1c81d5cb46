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

use super::{Flags, Mode, ModeSetting, Patterns};

/// Limit of delayed chunks; reading pauses while it is reached.
const MAX_WAITING: usize = 256;
const CHUNK: usize = 16 * 1024;

/// Direction of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

impl Mode {
    fn swallows(self, direction: Direction) -> bool {
        match self {
            Self::Pass | Self::Delay(_) => false,
            Self::Cut | Self::Swallow => true,
            Self::SwallowReplies => direction == Direction::Replies,
            Self::SwallowRequests => direction == Direction::Requests,
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

/// Socket of one side; reset if it is dropped before a regular end.
struct Side {
    stream: TcpStream,
    ended: bool,
}

impl Side {
    fn new(stream: TcpStream) -> Self {
        // A socket that is closed already needs no options.
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
    pub(super) setting: watch::Receiver<ModeSetting>,
    pub(super) patterns: Patterns,
    pub(super) flags: Arc<Flags>,
}

impl Pipe {
    /// Copies data in both directions until both have ended or one is reset.
    pub(super) async fn run(self, client: TcpStream, upstream: SocketAddr) {
        let mut client = Side::new(client);
        let Ok(server) = TcpStream::connect(upstream).await else {
            // A refusal by upstream counts as a reply.
            until_replies_pass(self.setting).await;
            return;
        };
        let mut server = Side::new(server);
        let ended = {
            let (from_client, to_client) = client.stream.split();
            let (from_server, to_server) = server.stream.split();
            tokio::try_join!(
                Lane::new(Direction::Requests, &self).carry(from_client, to_server),
                Lane::new(Direction::Replies, &self).carry(from_server, to_client),
            )
        };
        client.ended = ended.is_ok();
        server.ended = ended.is_ok();
    }

    /// Marks the connection or rewrites the request, as configured.
    fn inspect(&self, request: &mut [u8]) {
        if self
            .patterns
            .marks
            .is_some_and(|text| find(request, text).is_some())
        {
            self.flags.marked.store(true, Ordering::Relaxed);
        }
        if let Some((from, to)) = self.patterns.rewrites {
            while let Some(at) = find(request, from) {
                request[at..at + from.len()].copy_from_slice(to.as_bytes());
            }
        }
    }
}

fn find(text: &[u8], wanted: &str) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted.as_bytes())
}

async fn until_replies_pass(mut setting: watch::Receiver<ModeSetting>) {
    let passes = |setting: &ModeSetting| !setting.of(false).swallows(Direction::Replies);
    let _ = setting.wait_for(passes).await;
}

/// Result of a read.
enum Read {
    Chunk(Vec<u8>),
    End,
    Reset(io::Error),
}

/// One direction of a connection.
struct Lane<'a> {
    direction: Direction,
    pipe: &'a Pipe,
    setting: watch::Receiver<ModeSetting>,
    waiting: VecDeque<(Instant, Read)>,
}

impl<'a> Lane<'a> {
    fn new(direction: Direction, pipe: &'a Pipe) -> Self {
        Self {
            direction,
            pipe,
            setting: pipe.setting.clone(),
            waiting: VecDeque::new(),
        }
    }

    fn mode(&mut self) -> Mode {
        let marked = self.pipe.flags.marked.load(Ordering::Relaxed);
        self.setting.borrow_and_update().of(marked)
    }

    async fn carry(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut open = true;
        let mut buffer = vec![0; CHUNK];
        loop {
            let mode = self.mode();
            if mode == Mode::Cut {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if mode.swallows(self.direction) && !self.waiting.is_empty() {
                self.mark_lossy();
                self.waiting.clear();
            }
            let due = self.waiting.front().map(|(at, _)| *at + mode.delay());
            tokio::select! {
                biased;
                changed = self.setting.changed() => {
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
                read = from.read(&mut buffer), if open && self.waiting.len() < MAX_WAITING => {
                    let mut read = match read {
                        Ok(0) => Read::End,
                        Ok(length) => Read::Chunk(buffer[..length].to_vec()),
                        Err(error) => Read::Reset(error),
                    };
                    open = matches!(read, Read::Chunk(_));
                    if let (Direction::Requests, Read::Chunk(chunk)) = (self.direction, &mut read) {
                        self.pipe.inspect(chunk);
                    }
                    self.waiting.push_back((Instant::now(), read));
                }
            }
        }
    }

    fn mark_lossy(&self) {
        self.pipe.flags.lossy.store(true, Ordering::Relaxed);
    }

    /// Writes a chunk. If the mode changes to discarding while the chunk is partly written, its rest is lost.
    async fn write(&mut self, to: &mut WriteHalf<'_>, chunk: &[u8]) -> io::Result<()> {
        let marked = self.pipe.flags.marked.load(Ordering::Relaxed);
        let direction = self.direction;
        let written = {
            let swallowing = self
                .setting
                .wait_for(|setting| setting.of(marked).swallows(direction));
            tokio::select! {
                biased;
                _ = swallowing => None,
                written = to.write_all(chunk) => Some(written),
            }
        };
        written.unwrap_or_else(|| {
            self.mark_lossy();
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
