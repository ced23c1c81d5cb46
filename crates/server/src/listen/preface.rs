//! A client that connects must also speak.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Where HTTP/1.1 is told from HTTP/2 hyper waits for ever, so a client could hold a socket by saying nothing.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As much as the preface of HTTP/2 has, and less than any request of HTTP/1.1, which must name its host.
const FIRST_BYTES: usize = 24;

/// A socket on which reading fails if the first bytes do not come in time.
#[derive(Debug)]
pub(super) struct Prompt {
    stream: TcpStream,
    /// Gone as soon as enough has come.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    timeout: Pin<Box<Sleep>>,
    read: usize,
}

impl Prompt {
    pub(super) fn new(stream: TcpStream) -> Self {
        let waiting = Waiting {
            timeout: Box::pin(sleep(TIMEOUT)),
            read: 0,
        };
        Self {
            stream,
            waiting: Some(waiting),
        }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(waiting) = &mut self.waiting else {
            return polled;
        };
        waiting.read += buf.filled().len() - before;
        if waiting.read >= FIRST_BYTES {
            self.waiting = None;
        } else if polled.is_pending() && waiting.timeout.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
