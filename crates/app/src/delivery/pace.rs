//! How fast, how often and how long.

use std::time::Duration;

/// The dispatcher's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Messages under way at once, in this instance.
    pub workers: usize,
    /// Jobs that one claim takes at most.
    pub batch: usize,
    /// How long a worker keeps a job; longer than a provider may take. After it somebody else takes over.
    pub lease: Duration,
    /// How long a provider may take; then the answer counts as lost.
    pub provider_timeout: Duration,
    /// How often to look for jobs that another instance has written or lost.
    pub poll: Duration,
    /// How long to wait for a report after an answer was lost, before handing over again.
    pub grace: Duration,
    /// How often a message is handed over at most.
    pub max_attempts: i32,
    /// The longest wait before the second attempt; doubled for each one after.
    pub first_backoff: Duration,
    /// The longest wait of all.
    pub longest_backoff: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            workers: 64,
            batch: 100,
            lease: Duration::from_secs(15),
            provider_timeout: Duration::from_secs(10),
            poll: Duration::from_millis(500),
            grace: Duration::from_secs(5),
            max_attempts: 10,
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_mins(10),
        }
    }
}

impl Pace {
    /// How long to wait before the next attempt: full jitter, so that what failed together does not come back together; never
    /// before the provider wants.
    pub(crate) fn backoff(&self, attempt: i32, asked: Option<Duration>, random: u64) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1))
            .unwrap_or(0)
            .min(20);
        let longest = self
            .first_backoff
            .saturating_mul(1 << doublings)
            .min(self.longest_backoff);
        let micros = u64::try_from(longest.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        Duration::from_micros(random % micros).max(asked.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backs_off_further_each_time_and_never_too_soon() {
        let pace = Pace::default();
        let longest = |attempt| {
            (0..1_000)
                .map(|n| pace.backoff(attempt, None, n * 7_919_777))
                .max()
                .unwrap()
        };
        assert!(longest(1) <= Duration::from_secs(1));
        assert!(longest(4) > Duration::from_secs(5) && longest(4) <= Duration::from_secs(8));
        assert!(longest(i32::MAX) <= Duration::from_mins(10));
        assert_eq!(
            pace.backoff(1, Some(Duration::from_secs(30)), 5),
            Duration::from_secs(30)
        );
    }
}
