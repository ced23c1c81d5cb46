//! Retry policy of a webhook, which Twilio reads from the fragment of its URL: `#rc=2&rp=5xx,rt`.

use std::time::Duration;

use super::result::WebhookResult;

/// Maximum number of repetitions.
const MAX_RETRIES: u32 = 5;
const DEFAULT_RETRIES: u32 = 1;

/// What a webhook is repeated after, as words of the fragment and as bits.
const NO_CONNECTION: (&str, u8) = ("ct", 1);
const NO_ANSWER: (&str, u8) = ("rt", 2);
const CLIENT_ERROR: (&str, u8) = ("4xx", 4);
const SERVER_ERROR: (&str, u8) = ("5xx", 8);
const POLICIES: [(&str, u8); 4] = [NO_CONNECTION, NO_ANSWER, CLIENT_ERROR, SERVER_ERROR];

/// When a webhook is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retries {
    pub(super) count: u32,
    /// Bits of the policies.
    after: u8,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            count: DEFAULT_RETRIES,
            after: NO_CONNECTION.1,
        }
    }
}

impl Retries {
    /// Reads the fragment of a URL, without the number sign. Unknown and malformed parts have no effect.
    pub(super) fn of(fragment: &str) -> Self {
        let mut retries = Self::default();
        for (name, value) in fragment.split('&').filter_map(|it| it.split_once('=')) {
            match name {
                "rc" => {
                    let count = value.parse().ok();
                    retries.count = count.map_or(retries.count, |it: u32| it.min(MAX_RETRIES));
                }
                "rp" => {
                    let is_named =
                        |word: &str| value.split(',').any(|it| it == word || it == "all");
                    let named = POLICIES.iter().filter(|(word, _)| is_named(word));
                    retries.after = named.fold(0, |bits, (_, bit)| bits | bit);
                }
                _ => {}
            }
        }
        retries
    }

    pub(super) const fn applies_to(self, result: WebhookResult) -> bool {
        let (_, bit) = match result {
            WebhookResult::Answered(400..=499) => CLIENT_ERROR,
            WebhookResult::Answered(500..=599) => SERVER_ERROR,
            WebhookResult::NotConnected => NO_CONNECTION,
            WebhookResult::NotAnswered => NO_ANSWER,
            WebhookResult::Answered(_) | WebhookResult::NotCallable => return false,
        };
        self.after & bit != 0
    }
}

/// Time limits of a webhook, from the same fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookTimeouts {
    /// To open the connection.
    pub connect: Duration,
    /// To wait for the response.
    pub read: Duration,
}

impl WebhookTimeouts {
    /// Reads the fragment of a URL, without the number sign.
    #[must_use]
    pub fn of(fragment: &str) -> Self {
        let millis = |name: &str, default: u64, most: u64| {
            let parts = fragment.split('&').filter_map(|it| it.split_once('='));
            let mut values = parts.filter(|(found, _)| *found == name);
            let value = values.next().and_then(|(_, value)| value.parse().ok());
            Duration::from_millis(value.unwrap_or(default).clamp(100, most))
        };
        let total = millis("tt", 15_000, 15_000);
        Self {
            connect: millis("ct", 5_000, 10_000).min(total),
            read: millis("rt", 15_000, 15_000).min(total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_repeated_once_if_there_was_no_connection() {
        let retries = Retries::of("");
        assert_eq!(retries.count, 1);
        assert!(retries.applies_to(WebhookResult::NotConnected));
        for other in [
            WebhookResult::NotAnswered,
            WebhookResult::Answered(404),
            WebhookResult::Answered(503),
        ] {
            assert!(!retries.applies_to(other), "{other:?}");
        }
    }

    #[test]
    fn the_fragment_sets_the_policy() {
        let retries = Retries::of("rc=9&rp=5xx,rt&x&y=1");
        assert_eq!(retries.count, MAX_RETRIES);
        assert!(retries.applies_to(WebhookResult::Answered(500)));
        assert!(retries.applies_to(WebhookResult::NotAnswered));
        assert!(!retries.applies_to(WebhookResult::NotConnected));
        assert!(!retries.applies_to(WebhookResult::Answered(400)));
        let all = Retries::of("rp=all&rc=x");
        assert!(all.applies_to(WebhookResult::Answered(400)) && all.count == 1);
        assert!(!all.applies_to(WebhookResult::Answered(302)));
    }

    #[test]
    fn the_fragment_sets_the_time_limits() {
        let timeouts = WebhookTimeouts::of("ct=50&rt=700&tt=600");
        let millis = Duration::from_millis;
        assert_eq!(
            (timeouts.connect, timeouts.read),
            (millis(100), millis(600))
        );
        let timeouts = WebhookTimeouts::of("ct=x");
        assert_eq!(
            (timeouts.connect, timeouts.read),
            (millis(5_000), millis(15_000))
        );
    }
}
