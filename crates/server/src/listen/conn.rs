//! The life of one connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::calls::{Calls, Counted};
use super::resets::{Polls, Resets};
use super::socket::Socket;
use super::{Options, ReplyBody, Serve};
use crate::shutdown::Shutdown;

/// How old a connection may become.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// After this, give or take a tenth, the client is asked to connect anew.
    pub max: Duration,
    /// How long its calls may then go on.
    pub grace: Duration,
    /// A number from 0 to 1, another one each time.
    pub random: fn() -> f64,
}

/// The time give or take a tenth, by a random number from 0 to 1: clients that came together must not come again together.
pub fn jittered(time: Duration, random: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
}

/// What happens to a connection.
enum Order {
    /// The client is asked to leave.
    Leave,
    /// The connection is closed, since its client does this.
    Close(&'static str),
}

const STAYED: &str = "has not left";
/// Calls that are cut are answered within this.
const ANSWERS: Duration = Duration::from_millis(500);

/// Serves the connection to its end: the client's, or that of its age, or that of the service.
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
    let calls = Calls::default();
    let service = Counted {
        service,
        calls: calls.clone(),
    };
    let mut conn = pin!(options.protocol.serve_connection(io, service));
    // In a set: it polls a future only when that was woken, so that a busy connection, which wakes for every
    // frame, does not ask the timer and the shutdown each time.
    let mut orders: FuturesUnordered<Pin<Box<dyn Future<Output = Order> + Send + '_>>> =
        FuturesUnordered::new();
    orders.push(Box::pin(
        until_asked_to_leave(options.age, shutdown).map(|()| Order::Leave),
    ));
    orders.push(Box::pin(
        calls
            .clone()
            .left_untaken()
            .map(|()| Order::Close("does not take a reply")),
    ));
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| {
                polls.next();
                conn.as_mut().poll(cx)
            }) => {
                if let Err(error) = ended {
                    tracing::debug!(error = error.as_ref(), "a connection ended early");
                }
                return;
            }
            Some(next) = orders.next() => match next {
                Order::Leave => {
                    // HTTP/2: GOAWAY, and calls that are open go on. HTTP/1.1: no further request.
                    conn.as_mut().graceful_shutdown();
                    // A client that is gone does not answer, and has nothing to wait for.
                    let answered = calls.clone().none_open();
                    let has_not_left = until_cut(options.age, shutdown)
                        .then(|()| async { drop(timeout(ANSWERS, answered).await) });
                    let is_idle = calls.clone().ended();
                    orders.push(Box::pin(has_not_left.map(|()| Order::Close(STAYED))));
                    orders.push(Box::pin(is_idle.map(|()| Order::Close(STAYED))));
                }
                Order::Close(why) => {
                    tracing::debug!("a connection was closed whose client {why}");
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

/// In a drain the grace of the age does not count: it has a time of its own, after which it cuts.
async fn until_cut(age: Option<Age>, shutdown: &Shutdown) {
    match age {
        Some(age) if !shutdown.is_draining() => tokio::select! {
            () = shutdown.cut() => {}
            () = sleep(age.grace) => {}
        },
        Some(_) | None => shutdown.cut().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_varies_by_a_tenth_to_each_side() {
        let age = Duration::from_secs(1000);
        for (random, expected) in [
            (0.0, 900),
            (0.5, 1000),
            (1.0, 1100),
            (-3.0, 900),
            (7.0, 1100),
        ] {
            let off = jittered(age, random).abs_diff(Duration::from_secs(expected));
            assert!(off < Duration::from_millis(1), "{random}");
        }
    }
}
