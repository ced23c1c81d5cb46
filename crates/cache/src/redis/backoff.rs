//! Growing waits between attempts to open a connection.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const MAX: Duration = Duration::from_millis(500);

/// Wait before the next attempt; it doubles up to a maximum.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// Records that a connection was opened.
    pub(super) const fn reset(&mut self) {
        self.0 = FIRST;
    }

    /// Returns the wait, and doubles the next one.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(MAX);
        wait
    }
}
