//! Limit for rapid reset (CVE-2023-44487) that does not affect ordinary cancellation.
//!
//! h2 accepts every stream that it has read before one poll of its connection ends. A stream that is opened and reset within one
//! poll was therefore reset before it was accepted, or at the same time. Such resets are counted by the heads of the frames
//! that a client sends; more than the limit in one second end the connection with GOAWAY and `ENHANCE_YOUR_CALM`. A
//! later cancellation ends a call that has begun, and costs what the call has cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GO_AWAY: u8 = 0x7;
const ENHANCE_YOUR_CALM: u32 = 0xb;
const WINDOW: Duration = Duration::from_secs(1);

/// Counter of the polls of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Polls(Arc<AtomicU32>);

impl Polls {
    /// Called before each poll.
    pub(super) fn next(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counter of the resets of one connection.
#[derive(Debug)]
pub(super) struct Resets {
    parser: Parser,
    polls: Polls,
    /// The poll in which the last bytes were read.
    poll: u32,
    /// The highest stream that was opened before that poll.
    before: u32,
    /// The highest stream that was opened.
    highest: u32,
    per_second: u32,
    window: Option<Instant>,
    count: u32,
}

/// State of the frame parser: what the client's next byte belongs to.
#[derive(Debug, Clone, Copy)]
enum Parser {
    Preface {
        read: usize,
    },
    Head {
        bytes: [u8; HEAD_BYTES],
        read: usize,
    },
    Payload {
        left: usize,
    },
    /// Not HTTP/2.
    Other,
}

impl Parser {
    const NEXT_FRAME: Self = Self::Head {
        bytes: [0; HEAD_BYTES],
        read: 0,
    };
}

impl Resets {
    pub(super) const fn new(per_second: u32, polls: Polls) -> Self {
        Self {
            parser: Parser::Preface { read: 0 },
            polls,
            poll: 0,
            before: 0,
            highest: 0,
            per_second,
            window: None,
            count: 0,
        }
    }

    /// Reads these bytes, and returns whether the connection may continue.
    pub(super) fn allow(&mut self, mut bytes: &[u8]) -> bool {
        let poll = self.polls.count();
        if poll != self.poll {
            self.poll = poll;
            self.before = self.highest;
        }
        while !bytes.is_empty() {
            let taken = match &mut self.parser {
                Parser::Preface { read } => {
                    let expected = PREFACE.get(*read..).unwrap_or_default();
                    let taken = expected.len().min(bytes.len());
                    let same = bytes.get(..taken) == expected.get(..taken);
                    *read += taken;
                    if !same {
                        self.parser = Parser::Other;
                    } else if *read == PREFACE.len() {
                        self.parser = Parser::NEXT_FRAME;
                    }
                    taken
                }
                Parser::Head { bytes: head, read } => {
                    let taken = (HEAD_BYTES - *read).min(bytes.len());
                    for (to, from) in head.iter_mut().skip(*read).zip(bytes) {
                        *to = *from;
                    }
                    *read += taken;
                    if *read == HEAD_BYTES {
                        let head = *head;
                        if !self.frame(head) {
                            return false;
                        }
                    }
                    taken
                }
                Parser::Payload { left } => {
                    let taken = (*left).min(bytes.len());
                    *left -= taken;
                    if *left == 0 {
                        self.parser = Parser::NEXT_FRAME;
                    }
                    taken
                }
                Parser::Other => return true,
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        true
    }

    /// Reads the head of a frame, and returns whether the connection may continue.
    fn frame(&mut self, head: [u8; HEAD_BYTES]) -> bool {
        let [a, b, c, kind, _flags, stream @ ..] = head;
        let left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.parser = if left == 0 {
            Parser::NEXT_FRAME
        } else {
            Parser::Payload { left }
        };
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        match kind {
            HEADERS => self.highest = self.highest.max(stream),
            RST_STREAM if stream > self.before => return self.count(),
            _ => {}
        }
        true
    }

    fn count(&mut self) -> bool {
        let now = Instant::now();
        if self.window.is_none_or(|start| now - start >= WINDOW) {
            self.window = Some(now);
            self.count = 0;
        }
        self.count += 1;
        self.count <= self.per_second
    }

    /// The frame that ends the connection.
    pub(super) fn go_away(&self) -> Vec<u8> {
        go_away(self.highest, "too_many_resets")
    }
}

/// GOAWAY with `ENHANCE_YOUR_CALM`: streams up to `last` may have been handled.
fn go_away(last: u32, reason: &str) -> Vec<u8> {
    let length = u8::try_from(8 + reason.len()).unwrap_or(u8::MAX);
    let mut frame = vec![0, 0, length, GO_AWAY, 0, 0, 0, 0, 0];
    frame.extend(last.to_be_bytes());
    frame.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    frame.extend(reason.bytes());
    frame
}

/// All frames of a refused connection: empty SETTINGS, then GOAWAY.
pub(super) fn refusal() -> Vec<u8> {
    let mut frames = vec![0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
    frames.extend(go_away(0, "too_many_connections"));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, 0];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn opened_and_reset(streams: impl Iterator<Item = u32>) -> Vec<u8> {
        streams
            .flat_map(|n| {
                let stream = 2 * n + 1;
                [
                    frame(HEADERS, stream, b"head"),
                    frame(RST_STREAM, stream, &[0; 4]),
                ]
            })
            .flatten()
            .collect()
    }

    fn limited(per_second: u32) -> (Resets, Polls) {
        let polls = Polls::default();
        let mut resets = Resets::new(per_second, polls.clone());
        assert!(resets.allow(PREFACE));
        (resets, polls)
    }

    #[tokio::test(start_paused = true)]
    async fn resets_in_one_poll_are_limited_per_second() {
        let (mut resets, _polls) = limited(10);
        assert!(resets.allow(&opened_and_reset(0..10)));
        tokio::time::advance(WINDOW).await;
        assert!(resets.allow(&opened_and_reset(10..20)));
        assert!(!resets.allow(&opened_and_reset(20..21)));
        let [.., last, 0, 0, 0, 11] = resets.go_away()[..17] else {
            panic!("{:?}", resets.go_away())
        };
        assert_eq!(last, 41, "the highest stream");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_after_the_poll_is_an_ordinary_cancellation() {
        let (mut resets, polls) = limited(0);
        for n in 0..1_000 {
            polls.next();
            assert!(resets.allow(&frame(HEADERS, 2 * n + 1, b"head")));
            polls.next();
            assert!(resets.allow(&frame(RST_STREAM, 2 * n + 1, &[0; 4])));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_parsed_from_pieces_of_any_size() {
        let mut all = PREFACE.to_vec();
        all.extend(frame(SETTINGS, 0, b""));
        all.extend(opened_and_reset(0..3));
        for size in 1..all.len() {
            let mut resets = Resets::new(3, Polls::default());
            assert!(all.chunks(size).all(|piece| resets.allow(piece)), "{size}");
            assert_eq!((resets.highest, resets.count), (5, 3), "{size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn http1_is_not_read_as_frames() {
        let mut resets = Resets::new(0, Polls::default());
        assert!(resets.allow(b"POST / HTTP/1.1\r\n"));
        assert!(resets.allow(&opened_and_reset(0..10)));
    }
}
