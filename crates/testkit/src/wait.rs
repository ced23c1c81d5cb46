//! Waiting for a condition instead of a fixed time.

use std::panic::Location;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Polls until the check returns a value, and panics at the caller's line if it does not within the time.
///
/// A check that hangs (a call to a paused server) is cancelled at the deadline too. Time is the runtime's, so this
/// works under a paused clock.
///
/// ```
/// # use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let mut calls = 0;
/// let third = parlance_testkit::eventually(Duration::from_secs(1), async || {
///     calls += 1;
///     (calls == 3).then_some(calls)
/// })
/// .await;
/// assert_eq!(third, 3);
/// # });
/// ```
#[track_caller]
pub fn eventually<T>(
    within: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let polling = async {
            let mut pause = FIRST_PAUSE;
            loop {
                if let Some(value) = check().await {
                    return value;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        };
        tokio::time::timeout(within, polling)
            .await
            .unwrap_or_else(|_| panic!("the condition at {caller} was not met within {within:?}"))
    }
}

/// Like [`eventually`], for code outside a runtime; the caller reports the failure.
pub(crate) fn poll<T>(within: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = check() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
