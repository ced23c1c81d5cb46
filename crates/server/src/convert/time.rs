//! Moments and spans. The domain counts microseconds; finer parts are cut off.

use std::time::Duration;

use parlance_domain::Timestamp;

use super::fields::Found;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what `google.protobuf.Timestamp` allows.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Ten thousand years: what `google.protobuf.Duration` allows.
const LONGEST_SECONDS: u64 = 315_576_000_000;
const NANOS: std::ops::Range<i32> = 0..1_000_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A moment; `None` if it is unset, or wrong and noted.
pub(super) fn timestamp(
    found: &mut Found,
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    let prost_types::Timestamp { seconds, nanos } = time?;
    if !SECONDS.contains(&seconds) || !NANOS.contains(&nanos) {
        found.push(
            field,
            "not a moment of the years 1 to 9999 with nanos from 0 to 999999999; correct it",
        );
        return None;
    }
    let micros = seconds * MICROS_PER_SECOND + i64::from(nanos / 1_000);
    Some(Timestamp::from_micros(micros))
}

/// A span longer than nothing; `None` if it is unset, or wrong and noted.
pub(super) fn duration(
    found: &mut Found,
    field: &str,
    span: Option<prost_types::Duration>,
) -> Option<Duration> {
    let prost_types::Duration { seconds, nanos } = span?;
    let read = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= LONGEST_SECONDS && NANOS.contains(&nanos))
        .and_then(|seconds| {
            let micros = u64::try_from(nanos).ok()? / 1_000;
            Some(Duration::from_secs(seconds) + Duration::from_micros(micros))
        })
        .filter(|span| !span.is_zero());
    if read.is_none() {
        found.push(
            field,
            "not a span from a microsecond to 10000 years; correct it or leave it out",
        );
    }
    read
}

/// Notes an expiry that comes before the message could be sent, which `(send_at, expires_at)` say.
pub(super) fn check_expiry(
    found: &mut Found,
    field: &str,
    (send_at, expires_at): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
) {
    // A `send_at` that has passed means at once.
    let sent_at = send_at.map_or(now, |at| at.max(now));
    if expires_at.is_some_and(|at| at <= sent_at) {
        found.push(
            field,
            "must be after send_at and after now; give a later time",
        );
    }
}

/// A moment as the contract shows it. What was reckoned beyond the contract's last moment is shown as that.
pub(super) fn timestamp_to_proto(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    prost_types::Timestamp {
        seconds: seconds.clamp(*SECONDS.start(), *SECONDS.end()),
        nanos: i32::try_from(micros.rem_euclid(MICROS_PER_SECOND) * 1_000).unwrap_or_default(),
    }
}

/// A span as the contract shows it.
pub(super) fn duration_to_proto(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{fields_of, seen};

    fn at(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    #[test]
    fn a_moment_comes_back_without_what_is_finer_than_a_microsecond() {
        for (seconds, nanos, back) in [
            (0, 0, 0),
            (1, 999, 0),
            (1, 1_999, 1_000),
            (-1, 999_999_999, 999_999_000),
            (*SECONDS.start(), 0, 0),
            (*SECONDS.end(), 999_999_999, 999_999_000),
        ] {
            let time = seen(|found| timestamp(found, "t", Some(at(seconds, nanos))));
            let shown = timestamp_to_proto(time.unwrap());
            assert_eq!((shown.seconds, shown.nanos), (seconds, back));
        }
    }

    #[test]
    fn what_is_no_moment_is_told() {
        for (seconds, nanos) in [
            (SECONDS.start() - 1, 0),
            (SECONDS.end() + 1, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, i32::MAX),
        ] {
            let fields = fields_of(|found| _ = timestamp(found, "t", Some(at(seconds, nanos))));
            assert_eq!(fields, ["t"], "{seconds} {nanos}");
        }
        assert!(fields_of(|found| _ = timestamp(found, "t", None)).is_empty());
    }

    #[test]
    fn the_end_of_time_is_shown_as_the_last_moment_of_the_contract() {
        let end = timestamp_to_proto(Timestamp::from_micros(i64::MAX));
        assert_eq!(end.seconds, *SECONDS.end());
    }

    #[test]
    fn a_span_is_longer_than_nothing() {
        let of = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let read = seen(|found| duration(found, "d", of(1, 500_000_999))).unwrap();
        assert_eq!(read, Duration::from_millis(1_500));
        assert_eq!(duration_to_proto(read), of(1, 500_000_000).unwrap());
        for (seconds, nanos) in [
            (0, 0),
            (0, 999),
            (-1, 0),
            (0, -1),
            (1, 1_000_000_000),
            (i64::MAX, 0),
        ] {
            let fields = fields_of(|found| _ = duration(found, "d", of(seconds, nanos)));
            assert_eq!(fields, ["d"], "{seconds} {nanos}");
        }
    }
}
