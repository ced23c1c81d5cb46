//! Client that writes HTTP/2 frame by frame, and can misbehave.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const GO_AWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;

pub(crate) const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const CANCEL: u32 = 0x8;
/// Code of a GOAWAY for a client that exceeds a limit.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// HTTP/2 frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Code of a GOAWAY.
    pub(crate) fn go_away(&self) -> Option<u32> {
        (self.kind == GO_AWAY).then(|| u32::from_be_bytes(self.payload[4..8].try_into().unwrap()))
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// HEADERS frame of a call.
pub(crate) fn open(stream: u32, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // From the static table of HPACK: `POST` and `http` as whole fields, the other names by index.
    let mut block = vec![0x83, 0x86, 0x04];
    block.extend(text(path));
    block.push(0x01);
    block.extend(text("localhost"));
    block.extend([0x0f, 0x10]);
    block.extend(text("application/grpc"));
    block.push(0x00);
    block.extend(text("te"));
    block.extend(text("trailers"));
    frame(HEADERS, END_HEADERS, stream, &block)
}

pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// Client side of a connection.
pub(crate) struct RawClient {
    pub(crate) reader: Reader,
    writer: Writer,
}

pub(crate) struct Reader(OwnedReadHalf);

pub(crate) struct Writer {
    half: OwnedWriteHalf,
    last: u32,
}

impl RawClient {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        preface.extend(frame(SETTINGS, 0, 0, &[]));
        writer.write_all(&preface).await.unwrap();
        Self {
            reader: Reader(reader),
            writer: Writer {
                half: writer,
                last: 0,
            },
        }
    }

    pub(crate) fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    /// Returns the id of a new stream.
    pub(crate) fn next(&mut self) -> u32 {
        self.writer.next()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.writer.half.write_all(bytes).await.unwrap();
    }

    /// Sends a call with its whole request, and returns its stream.
    pub(crate) async fn call(&mut self, path: &str, body: &[u8]) -> u32 {
        let stream = self.next();
        let mut frames = open(stream, path);
        frames.extend(frame(DATA, END_STREAM, stream, body));
        self.write(&frames).await;
        stream
    }

    pub(crate) async fn open_and_cancel(&mut self, path: &str, calls: usize) -> io::Result<()> {
        self.writer.open_and_cancel(path, calls).await
    }

    /// Reads the message of a call. Panics if one of the watched streams, or the connection, ends first.
    pub(crate) async fn message(&mut self, stream: u32, watched: &[u32]) -> Vec<u8> {
        let mut message = Vec::new();
        loop {
            let frame = self.reader.frame().await.expect("the connection is open");
            assert_eq!(frame.go_away(), None, "{frame:?}");
            if frame.stream == stream {
                if frame.kind == DATA {
                    message.extend(&frame.payload);
                }
                if frame.ends_stream() || (frame.kind == DATA && watched.contains(&stream)) {
                    return message;
                }
            }
            let ended = frame.ends_stream() || frame.kind == RST_STREAM;
            assert!(!(ended && watched.contains(&frame.stream)), "{frame:?}");
        }
    }
}

impl Writer {
    /// Returns the id of a new stream.
    fn next(&mut self) -> u32 {
        self.last = if self.last == 0 { 1 } else { self.last + 2 };
        self.last
    }

    /// Opens calls and cancels all of them in one write.
    pub(crate) async fn open_and_cancel(&mut self, path: &str, calls: usize) -> io::Result<()> {
        let streams: Vec<_> = (0..calls).map(|_| self.next()).collect();
        let opened = streams.iter().flat_map(|stream| open(*stream, path));
        let cancelled = streams.iter().flat_map(|stream| cancel(*stream));
        let all: Vec<u8> = opened.chain(cancelled).collect();
        self.half.write_all(&all).await
    }
}

impl Reader {
    /// Reads the next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload,
        })
    }

    /// Reads up to the first `WINDOW_UPDATE`: before it a connection may send only 64 KiB.
    pub(crate) async fn until_window_update(&mut self) {
        while self.frame().await.expect("a frame").kind != WINDOW_UPDATE {}
    }

    /// Reads to the end of the connection, and returns the code of its GOAWAY.
    pub(crate) async fn until_go_away(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.frame().await {
            code = frame.go_away().or(code);
        }
        code
    }
}
