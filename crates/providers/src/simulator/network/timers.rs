//! Timers of the state machine, by account, since each account has a clock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

/// What happens when a timer is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// A message gets its next status.
    Progress { sid: String },
    /// A webhook joins the queue of its message.
    Enqueue { webhook: u64 },
    /// A webhook that was held back for a later one joins the queue, since none came.
    Release { webhook: u64, sid: String },
}

/// A timer that is due.
#[derive(Debug)]
pub(super) struct Due {
    /// Microseconds since the start of the network, on the unmoved clock.
    pub(super) at: i64,
    pub(super) account: String,
    pub(super) timer: Timer,
}

/// All timers in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BTreeMap<(i64, u64), (String, Timer)>,
    next: u64,
}

impl Timers {
    pub(super) fn add(&mut self, at: i64, account: &str, timer: Timer) {
        self.next += 1;
        self.entries
            .insert((at, self.next), (account.to_owned(), timer));
    }

    /// Removes the first timer that is due.
    pub(super) fn pop(&mut self, now: i64) -> Option<Due> {
        let entry = self.entries.first_entry()?;
        let at = entry.key().0;
        if at > now {
            return None;
        }
        let (account, timer) = entry.remove();
        Some(Due { at, account, timer })
    }

    /// When the next timer is due.
    pub(super) fn next_at(&self) -> Option<i64> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Makes every timer of an account due earlier. Their order does not change.
    pub(super) fn advance(&mut self, account: &str, by: Duration) {
        let by = micros(by);
        let of_account = self
            .entries
            .extract_if(.., |_, (owner, _)| *owner == account);
        let moved: Vec<_> = of_account
            .map(|((at, id), entry)| ((at.saturating_sub(by), id), entry))
            .collect();
        self.entries.extend(moved);
    }
}

/// Microseconds of a duration.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(sid: &str) -> Timer {
        Timer::Progress {
            sid: sid.to_owned(),
        }
    }

    fn popped(timers: &mut Timers, now: i64) -> Vec<Timer> {
        std::iter::from_fn(|| timers.pop(now).map(|due| due.timer)).collect()
    }

    #[test]
    fn timers_are_due_in_order_and_ties_in_the_order_of_creation() {
        let mut timers = Timers::default();
        timers.add(5, "a", timer("second"));
        timers.add(5, "a", timer("third"));
        timers.add(3, "a", timer("first"));
        timers.add(6, "a", timer("later"));
        assert_eq!(timers.next_at(), Some(3));
        let expected = ["first", "second", "third"].map(timer);
        assert_eq!(popped(&mut timers, 5), expected);
    }

    #[test]
    fn an_advanced_clock_moves_the_timers_of_its_account_only() {
        let mut timers = Timers::default();
        timers.add(1_000, "a", timer("slow"));
        timers.add(400, "a", timer("fast"));
        timers.add(500, "b", timer("other"));
        timers.advance("a", Duration::from_secs(1));
        assert_eq!(popped(&mut timers, 0), ["fast", "slow"].map(timer));
        assert_eq!(timers.next_at(), Some(500));
    }
}
