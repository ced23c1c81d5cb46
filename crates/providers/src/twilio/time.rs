//! Times in the texts of HTTP and of the REST API.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use parlance_domain::Timestamp;

/// The longest wait that a server can ask for. The dispatcher has a limit of its own, which is shorter.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Parses a time of the REST API (RFC 2822, always in UTC), such as `Fri, 24 May 2019 17:44:46 +0000`.
pub(super) fn parse_rfc2822(text: &str) -> Option<Timestamp> {
    let utc = text.strip_suffix("+0000")?;
    timestamp(httpdate::parse_http_date(&format!("{utc}GMT")).ok()?)
}

/// Parses `Retry-After`: a number of seconds, or a time.
pub(super) fn retry_after(value: Option<&HeaderValue>, now: Timestamp) -> Option<Duration> {
    let text = value?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => timestamp(httpdate::parse_http_date(text).ok()?)?.since(now),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(
        i64::try_from(since.as_micros()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2019-05-24T17:44:46Z.
    const TIME: Timestamp = Timestamp::from_micros(1_558_719_886_000_000);

    #[test]
    fn times_of_the_api_are_read_and_others_refused() {
        assert_eq!(parse_rfc2822("Fri, 24 May 2019 17:44:46 +0000"), Some(TIME));
        for text in [
            "",
            "2019-05-24T17:44:46Z",
            "Fri, 24 May 2019 17:44:46 +0200",
        ] {
            assert_eq!(parse_rfc2822(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_time_and_bounded() {
        let read = |text: &'static str| {
            let now = TIME.minus(Duration::from_secs(90));
            retry_after(Some(&HeaderValue::from_static(text)), now)
        };
        assert_eq!(read("30"), Some(Duration::from_secs(30)));
        let date = read("Fri, 24 May 2019 17:44:46 GMT");
        assert_eq!(date, Some(Duration::from_secs(90)));
        assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("18446744073709551615"), Some(MAX_RETRY_AFTER));
        assert_eq!(read("-1"), None);
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(None, TIME), None);
    }
}
