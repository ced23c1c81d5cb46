//! Socket of a connection, with limits that hyper does not have.
//!
//! * The first bytes must arrive within [`FIRST_BYTES_TIMEOUT`].
//! * A peer that does not read for [`WRITE_TIMEOUT`] is disconnected.
//! * HTTP/2: streams that are reset as soon as they are opened are limited, see [`super::resets`].

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::resets::Resets;

/// hyper waits without a limit for the bytes that distinguish HTTP/1.1 from HTTP/2, so a silent client could keep a socket.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);
/// The length of the HTTP/2 preface; every HTTP/1.1 request is longer, since it must name its host.
const FIRST_BYTES: usize = 24;
/// Maximum time that a full socket may stay full. The system reports room when a third of its buffer is free, so this allows for
/// clients on slow networks.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// Socket on which reads and writes fail when the peer breaks a limit.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// `None` as soon as enough bytes have arrived.
    first_bytes: Option<FirstBytes>,
    /// Runs while the peer does not read.
    write_timeout: Option<Pin<Box<Sleep>>>,
    /// `None` if the port serves only HTTP/1.1.
    resets: Option<Resets>,
    go_away: GoAway,
}

#[derive(Debug)]
struct FirstBytes {
    timeout: Pin<Box<Sleep>>,
    read: usize,
}

/// State of the GOAWAY that ends a connection with too many resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoAway {
    None,
    /// To be sent after the bytes that h2 has buffered, so that it does not split a frame.
    Pending,
    Sent,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, resets: Option<Resets>) -> Self {
        let first_bytes = FirstBytes {
            timeout: Box::pin(sleep(FIRST_BYTES_TIMEOUT)),
            read: 0,
        };
        Self {
            stream,
            first_bytes: Some(first_bytes),
            write_timeout: None,
            resets,
            go_away: GoAway::None,
        }
    }

    /// Fails a write if the socket has had no room for too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timeout = None;
            return written;
        }
        let timeout = self
            .write_timeout
            .get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        timeout.as_mut().poll(cx).map(|()| {
            let reason = "the peer does not read";
            Err(io::Error::new(io::ErrorKind::TimedOut, reason))
        })
    }

    /// Writes GOAWAY if the socket has room; if it has none, the peer does not read either.
    fn send_go_away(&mut self, cx: &mut Context<'_>) {
        if let Some(resets) = &self.resets {
            let frame = resets.go_away();
            let written = Pin::new(&mut self.stream).poll_write(cx, &frame);
            tracing::debug!(sent = written.is_ready(), "too many streams were reset");
        }
        let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.go_away = GoAway::Sent;
        // The next read ends the connection.
        cx.waker().wake_by_ref();
    }
}

fn ended<T>() -> Poll<io::Result<T>> {
    let reason = "too many streams were reset";
    let error = io::Error::new(io::ErrorKind::ConnectionAborted, reason);
    Poll::Ready(Err(error))
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.go_away {
            GoAway::None => {}
            // h2 flushes after every read that has to wait.
            GoAway::Pending => return Poll::Pending,
            GoAway::Sent => return ended(),
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        if let Some(first) = &mut self.first_bytes {
            first.read += read.len();
            if first.read >= FIRST_BYTES {
                self.first_bytes = None;
            } else if polled.is_pending() && first.timeout.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        let allowed = self.resets.as_mut().is_none_or(|r| r.allow(read));
        if !allowed {
            buf.set_filled(before);
            self.go_away = GoAway::Pending;
            return Poll::Pending;
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.go_away == GoAway::Sent {
            return ended();
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.go_away == GoAway::Pending {
            self.send_go_away(cx);
        }
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
        if self.go_away == GoAway::Sent {
            return ended();
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, peer) = tokio::join!(listener.accept(), peer);
        (Socket::new(accepted.unwrap().0, None), peer.unwrap())
    }

    static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

    /// The paused clock does not advance while bytes move, and jumps when they do not.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_disconnected() {
        for vectored in [false, true] {
            let (mut socket, _peer) = pair().await;
            let writing = async {
                loop {
                    let written = if vectored {
                        let pieces = [io::IoSlice::new(&PIECE), io::IoSlice::new(&PIECE)];
                        socket.write_vectored(&pieces).await
                    } else {
                        socket.write(&PIECE).await
                    };
                    if let Err(error) = written {
                        return error;
                    }
                }
            };
            let error = tokio::time::timeout(2 * WRITE_TIMEOUT, writing).await;
            let error = error.expect("a write without room fails");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_stays_connected() {
        let (mut socket, peer) = pair().await;
        let reading = async {
            let mut piece = PIECE;
            let mut read = 0;
            while read < 400 * PIECE.len() {
                tokio::time::sleep(WRITE_TIMEOUT / 2).await;
                peer.readable().await.unwrap();
                while let Ok(bytes) = peer.try_read(&mut piece) {
                    read += bytes;
                }
            }
        };
        let writing = async {
            for _ in 0..400 {
                socket.write_all(&PIECE).await.unwrap();
            }
        };
        tokio::join!(reading, writing);
    }
}
