//! Clocks: the clock of this process, which runs on while the machine is suspended, and detection of steps of the database's
//! clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Clock by which gates and registrations end. It is monotonic.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Clock of the runtime plus the time for which the machine was suspended, where the operating system counts it.
pub fn boot_clock() -> Clock {
    let suspended = suspended();
    Arc::new(move || {
        // Read first: a suspension between the two readings is missing, as if the clock had been read before it.
        let slept = suspended();
        Instant::now() + slept
    })
}

/// Number of readings; the largest difference of the clocks is the first one.
#[cfg(target_os = "linux")]
const READINGS: u32 = 16;

/// How long the machine has been suspended since the first call.
#[cfg(target_os = "linux")]
fn suspended() -> impl Fn() -> Duration + Send + Sync {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::time::{ClockId, clock_gettime};

    let difference = || {
        // In this order, a pause between the two calls makes the difference smaller, never larger.
        let boot = clock_gettime(ClockId::Boottime);
        let awake = clock_gettime(ClockId::Monotonic);
        let nanos = |time: rustix::time::Timespec| {
            i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
        };
        nanos(boot) - nanos(awake)
    };
    // A single reading would not do: a pause between its two calls would later count as a suspension.
    let before = (0..READINGS).map(|_| difference()).max().unwrap_or(0);
    let most = AtomicU64::new(0);
    move || {
        let since = u64::try_from(difference() - before).unwrap_or(0);
        Duration::from_nanos(most.fetch_max(since, Ordering::Relaxed).max(since))
    }
}

#[cfg(not(target_os = "linux"))]
fn suspended() -> impl Fn() -> Duration + Send + Sync {
    || Duration::ZERO
}

/// Reciprocal of the rate at which two clocks may drift apart.
const DRIFT: u32 = 1000;

/// Bounds of the offset between the database's clock and that of this process.
#[derive(Debug, Clone, Copy)]
struct Offset {
    least: i128,
    most: i128,
    measured: Instant,
}

/// Detects steps of the database's clock, by comparing it with the clock of this process at every answer that contains the time.
#[derive(Debug)]
pub(crate) struct DatabaseClock {
    origin: Instant,
    offset: Option<Offset>,
    /// Until when nothing is relied on that the database reported before its clock stepped.
    unsteady_until: Option<Instant>,
    steps: u64,
    largest: Duration,
}

/// Observed steps and skew of the database's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Number of steps beyond the margin.
    pub steps: u64,
    /// Largest skew between two answers.
    pub largest_skew: Duration,
}

impl DatabaseClock {
    pub(crate) const fn new(origin: Instant) -> Self {
        Self {
            origin,
            offset: None,
            unsteady_until: None,
            steps: 0,
            largest: Duration::ZERO,
        }
    }

    /// Records a time that the database's clock reported between request and answer. Returns the minimum of its step since the
    /// last answers, if that is more than the margin.
    pub(crate) fn observe(
        &mut self,
        (asked, answered): (Instant, Instant),
        reported: Duration,
        (margin, unsteady_for): (Duration, Duration),
    ) -> Option<Duration> {
        let own = |at: Instant| nanos(at.saturating_duration_since(self.origin));
        let reported = nanos(reported);
        let now = Offset {
            least: reported - own(answered),
            most: reported - own(asked),
            measured: answered,
        };
        let before = self.offset.replace(now)?;
        let drift = nanos(answered.saturating_duration_since(before.measured) / DRIFT);
        let (least, most) = (before.least - drift, before.most + drift);
        let gap = (now.least - most).max(least - now.most).max(0);
        if gap == 0 {
            // A fast answer gives tighter bounds than the slow ones after it.
            self.offset = Some(Offset {
                least: now.least.max(least),
                most: now.most.min(most),
                measured: answered,
            });
            return None;
        }
        let skew = Duration::from_nanos(u64::try_from(gap).unwrap_or(u64::MAX));
        self.largest = self.largest.max(skew);
        if skew <= margin {
            return None;
        }
        self.steps += 1;
        self.unsteady_until = Some(answered + unsteady_for);
        Some(skew)
    }

    /// Whether the clock has not stepped recently.
    pub(crate) fn is_steady(&self, now: Instant) -> bool {
        self.unsteady_until.is_none_or(|until| now >= until)
    }

    pub(crate) const fn state(&self) -> ClockState {
        ClockState {
            steps: self.steps,
            largest_skew: self.largest,
        }
    }
}

fn nanos(length: Duration) -> i128 {
    i128::try_from(length.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));
    const PASS: Duration = Duration::from_millis(500);

    /// Database that answers after a given time, with its clock ahead by a given time, in milliseconds.
    struct Harness {
        clock: DatabaseClock,
        start: Instant,
        now: Instant,
    }

    impl Harness {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                clock: DatabaseClock::new(start),
                start,
                now: start,
            }
        }

        fn ask(&mut self, ahead: u64, takes: u64) -> Option<Duration> {
            let asked = self.now + PASS;
            self.now = asked + Duration::from_millis(takes);
            let middle = asked + Duration::from_millis(takes / 2);
            let reported = middle - self.start + Duration::from_millis(1_000_000 + ahead);
            self.clock.observe((asked, self.now), reported, LIMITS)
        }
    }

    #[test]
    fn a_step_in_either_direction_is_detected_and_the_clock_is_unsteady_for_a_while() {
        for (before, after) in [(0, 60), (60, 0), (0, 10_000), (900_000, 0)] {
            let mut harness = Harness::new();
            assert_eq!(harness.ask(before, 2), None);
            assert_eq!(harness.ask(before, 2), None);
            let step = harness.ask(after, 2).unwrap();
            let whole = Duration::from_millis(u64::abs_diff(before, after));
            assert!(
                step <= whole && step + Duration::from_millis(4) > whole,
                "{step:?}"
            );
            assert!(!harness.clock.is_steady(harness.now));
            assert!(harness.clock.is_steady(harness.now + LIMITS.1));
            assert_eq!(harness.ask(after, 2), None, "counted once");
            assert_eq!(harness.clock.state().steps, 1);
        }
    }

    #[test]
    fn slow_answers_are_no_step_and_do_not_hide_a_later_step() {
        let mut harness = Harness::new();
        for takes in [2, 700, 1, 300, 2, 900] {
            assert_eq!(harness.ask(0, takes), None);
        }
        // The answer may be from before or after the step.
        assert_eq!(harness.ask(200, 600), None);
        assert!(harness.ask(200, 2).is_some());
    }

    #[test]
    fn slow_drift_is_no_step() {
        let mut harness = Harness::new();
        for pass in 0..10_000 {
            assert_eq!(harness.ask(pass / 4, 2), None);
        }
        assert_eq!(harness.clock.state().steps, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_the_clock_of_the_runtime() {
        let clock = boot_clock();
        let before = clock();
        tokio::time::advance(PASS).await;
        let passed = clock() - before;
        assert!(passed >= PASS && passed < 2 * PASS, "{passed:?}");
    }
}
