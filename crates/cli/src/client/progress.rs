//! How far a long command has come, for whoever watches the terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::output::Output;

const WIDTH: u64 = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// A bar, drawn anew a few times a second.
pub(super) struct Progress {
    /// How much there is to do, where that is known.
    total: Option<u64>,
    done: Arc<AtomicU64>,
    messages: usize,
    drawn: Option<Instant>,
}

impl Progress {
    /// Of so much, of which `done` tells.
    pub(super) fn new(total: Option<u64>, done: Arc<AtomicU64>) -> Self {
        Self {
            total,
            done,
            messages: 0,
            drawn: None,
        }
    }

    /// So many messages more.
    pub(super) fn sent(&mut self, messages: usize, output: &mut Output) {
        self.messages += messages;
        if !output.is_watched() || self.drawn.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        self.drawn = Some(Instant::now());
        output.overwrite(&self.line());
    }

    /// Makes room for a line that stays.
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
    fn a_bar_shows_the_share() {
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
