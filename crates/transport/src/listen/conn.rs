//! Lifetime of one connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::age::{Age, jittered};
use super::calls::{CallCounter, OpenCalls};
use super::options::Options;
use super::resets::{Polls, Resets};
use super::service::{ReplyBody, Serve};
use super::socket::Socket;
use crate::shutdown::Shutdown;

/// Action of the server on a connection.
enum Action {
    /// Asks the client to leave.
    Leave,
    /// Closes the connection for this reason.
    Close(&'static str),
}

const STAYED: &str = "the client did not disconnect when asked";
/// Time to answer calls that were cut.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves the connection until the client closes it, its age is over, or the service shuts down.
pub(super) async fn run<S, B>(stream: TcpStream, service: S, options: &Options, shutdown: &Shutdown)
where
    S: Serve<B>,
    B: ReplyBody,
{
    let polls = Polls::default();
    let resets = options
        .resets_per_second
        .map(|limit| Resets::new(limit, polls.clone()));
    let io = TokioIo::new(Socket::new(stream, resets));
    let calls = OpenCalls::default();
    let service = CallCounter {
        service,
        calls: calls.clone(),
    };
    let mut conn = pin!(options.protocol.serve_connection(io, service));
    // A set polls a future only when that future was woken. A busy connection, which wakes for every frame, does not poll
    // the timer and the shutdown each time.
    let mut actions: FuturesUnordered<Pin<Box<dyn Future<Output = Action> + Send + '_>>> =
        FuturesUnordered::new();
    actions.push(Box::pin(
        until_asked_to_leave(options.age, shutdown).map(|()| Action::Leave),
    ));
    actions.push(Box::pin(
        calls
            .clone()
            .until_stalled()
            .map(|()| Action::Close("the client does not read a reply")),
    ));
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| {
                polls.next();
                conn.as_mut().poll(cx)
            }) => {
                if let Err(error) = ended {
                    tracing::debug!(error = error.as_ref(), "connection ended early");
                }
                return;
            }
            Some(next) = actions.next() => match next {
                Action::Leave => {
                    // HTTP/2: GOAWAY, and calls that are open go on. HTTP/1.1: no further request.
                    conn.as_mut().graceful_shutdown();
                    // A client that is gone does not disconnect itself; without open calls there is nothing to wait for.
                    let answered = calls.clone().until_none_open();
                    let has_not_left = until_cut(options.age, shutdown)
                        .then(|()| async { drop(timeout(ANSWER_TIMEOUT, answered).await) });
                    let is_idle = calls.clone().until_idle();
                    actions.push(Box::pin(has_not_left.map(|()| Action::Close(STAYED))));
                    actions.push(Box::pin(is_idle.map(|()| Action::Close(STAYED))));
                }
                Action::Close(reason) => {
                    tracing::debug!("connection closed: {reason}");
                    return;
                }
            },
        }
    }
}

async fn until_asked_to_leave(age: Option<Age>, shutdown: &Shutdown) {
    let Some(age) = age else {
        return shutdown.draining().await;
    };
    tokio::select! {
        () = shutdown.draining() => {}
        () = sleep(jittered(age.max, (age.random)())) => {}
    }
}

/// Returns when open calls are cut: after the grace of the age, or by the shutdown. A drain has its own timeout, so the grace does
/// not apply to it.
async fn until_cut(age: Option<Age>, shutdown: &Shutdown) {
    match age {
        Some(age) if !shutdown.is_draining() => tokio::select! {
            () = shutdown.cut() => {}
            () = sleep(age.grace) => {}
        },
        Some(_) | None => shutdown.cut().await,
    }
}
