//! Progress of a long command, for the terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::output::Output;

const WIDTH: u64 = 30;
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Progress bar, redrawn a few times per second.
pub(super) struct Progress {
    /// Total amount, if it is known.
    total: Option<u64>,
    done: Arc<AtomicU64>,
    messages: usize,
    drawn: Option<Instant>,
}

impl Progress {
    /// Progress of `done` towards `total`.
    pub(super) fn new(total: Option<u64>, done: Arc<AtomicU64>) -> Self {
        Self {
            total,
            done,
            messages: 0,
            drawn: None,
        }
    }

    /// Counts messages that were sent, and redraws the bar.
    pub(super) fn sent(&mut self, messages: usize, output: &mut Output) {
        self.messages += messages;
        if !output.is_interactive() || self.drawn.is_some_and(|at| at.elapsed() < REDRAW_INTERVAL) {
            return;
        }
        self.drawn = Some(Instant::now());
        output.overwrite(&self.line());
    }

    /// Removes the bar before a permanent line is printed.
    pub(super) fn clear(&mut self, output: &mut Output) {
        if self.drawn.take().is_some() {
            output.overwrite("");
        }
    }

    fn line(&self) -> String {
        let messages = self.messages;
        let done = self.done.load(Ordering::Relaxed);
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return format!("{messages} messages");
        };
        let done = done.min(total);
        let share = |of: u64| of.saturating_mul(done) / total;
        let filled = usize::try_from(share(WIDTH)).unwrap_or_default();
        let bar = "#".repeat(filled);
        let width = usize::try_from(WIDTH).unwrap_or_default();
        format!("[{bar:.<width$}] {:>3} %  {messages} messages", share(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_the_share() {
        let done = Arc::new(AtomicU64::new(50));
        let progress = Progress::new(Some(100), Arc::clone(&done));
        assert_eq!(
            progress.line(),
            "[###############...............]  50 %  0 messages"
        );
        done.store(200, Ordering::Relaxed);
        assert!(progress.line().contains("100 %"));
        assert_eq!(Progress::new(None, done).line(), "0 messages");
    }
}
