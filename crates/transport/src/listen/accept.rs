//! Accept loop.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::conn;
use super::limit::{Admission, MarkBeyondLimit, RESERVED_TIMEOUT, refuse};
use super::options::Options;
use super::service::{ReplyBody, Serve};
use crate::shutdown::Shutdown;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves connections until the drain begins, and returns when the last connection is closed.
pub async fn serve<S, B>(listener: TcpListener, service: S, options: Options, shutdown: Shutdown)
where
    S: Serve<B>,
    B: ReplyBody,
{
    let options = Arc::new(options);
    // Nothing is sent: each connection keeps a sender, so the channel closes when the last connection does.
    let (open, mut all_closed) = mpsc::channel::<std::convert::Infallible>(1);
    let mut pause = FIRST_PAUSE;
    let stop = shutdown.draining();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                pause = FIRST_PAUSE;
                let (admitted, beyond) = match options.limit.admit(options.health) {
                    Admission::Served(admitted) => (admitted, false),
                    Admission::Reserved(admitted) => (admitted, true),
                    Admission::Refused(refused) => {
                        let options = Arc::clone(&options);
                        tokio::spawn(async move {
                            refuse(stream, &options.refusal).await;
                            drop(refused);
                        });
                        continue;
                    }
                    Admission::Dropped => continue,
                };
                let service = MarkBeyondLimit {
                    service: service.clone(),
                    beyond,
                };
                let options = Arc::clone(&options);
                let (shutdown, open) = (shutdown.clone(), open.clone());
                tokio::spawn(async move {
                    let served = start(stream, service, &options, &shutdown);
                    if beyond {
                        // Closed even during a call: the reserve is for probes, not for clients that stay.
                        let _ = tokio::time::timeout(RESERVED_TIMEOUT, served).await;
                    } else {
                        served.await;
                    }
                    drop((admitted, open));
                });
            }
            // The client was gone before it was accepted; the next one waits already.
            Err(error) if concerns_one_connection(error.kind()) => {
                tracing::debug!(%error, "connection not accepted");
            }
            // Out of file descriptors or memory: this ends as connections close, and a busy loop would delay that.
            Err(error) => {
                tracing::warn!(%error, pause_ms = pause.as_millis(), "connections cannot be accepted");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    // Dropped before the wait: new clients are refused at once instead of waiting in the backlog.
    drop(listener);
    drop(open);
    all_closed.recv().await;
}

async fn start<S, B>(stream: TcpStream, service: S, options: &Options, shutdown: &Shutdown)
where
    S: Serve<B>,
    B: ReplyBody,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection closed before it was served");
        return;
    }
    let _open = options.open.enter();
    conn::run(stream, service, options, shutdown).await;
}

const fn concerns_one_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}
