//! Settings of the dispatcher: concurrency, intervals, time limits, retries.

use std::time::Duration;

/// The dispatcher's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Messages in flight at once, in this instance.
    pub workers: usize,
    /// Deliveries that one claim takes at most.
    pub batch: usize,
    /// Length of a worker's lease; longer than a provider may take. Another worker may take over when it ends.
    pub lease: Duration,
    /// Time limit of a provider call; after it the answer counts as lost.
    pub provider_timeout: Duration,
    /// How often to look for deliveries that another instance has written or abandoned.
    pub poll: Duration,
    /// How long to wait for a report after a lost answer, before the next hand-over.
    pub grace: Duration,
    /// Maximum number of hand-overs of one message.
    pub max_attempts: i32,
    /// The longest wait before the second attempt; doubled for each one after.
    pub first_backoff: Duration,
    /// Upper limit of every wait.
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
    /// Wait before the next attempt. Full jitter, so that deliveries that failed together are not retried together;
    /// never shorter than the provider asks.
    pub(crate) fn backoff(
        &self,
        attempt: i32,
        requested: Option<Duration>,
        random: u64,
    ) -> Duration {
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
        Duration::from_micros(random % micros).max(requested.unwrap_or_default())
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
