//! Timestamps and durations. The domain counts microseconds; finer parts are truncated.

use std::time::Duration;

use parlance_domain::Timestamp;

use super::fields::Violations;

/// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z: the range of `google.protobuf.Timestamp`.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Ten thousand years: the maximum of `google.protobuf.Duration`.
const MAX_SECONDS: u64 = 315_576_000_000;
const NANOS: std::ops::Range<i32> = 0..1_000_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Reads a timestamp. `None` if it is unset, or if it is invalid, which is recorded.
pub(super) fn timestamp(
    violations: &mut Violations,
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    let prost_types::Timestamp { seconds, nanos } = time?;
    if !SECONDS.contains(&seconds) || !NANOS.contains(&nanos) {
        violations.push(
            field,
            "not a valid timestamp; the year must be from 1 to 9999 and nanos from 0 to 999999999",
        );
        return None;
    }
    let micros = seconds * MICROS_PER_SECOND + i64::from(nanos / 1_000);
    Some(Timestamp::from_micros(micros))
}

/// Reads a positive duration. `None` if it is unset, or if it is invalid, which is recorded.
pub(super) fn duration(
    violations: &mut Violations,
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Option<Duration> {
    let prost_types::Duration { seconds, nanos } = duration?;
    let read = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= MAX_SECONDS && NANOS.contains(&nanos))
        .and_then(|seconds| {
            let micros = u64::try_from(nanos).ok()? / 1_000;
            Some(Duration::from_secs(seconds) + Duration::from_micros(micros))
        })
        .filter(|duration| !duration.is_zero());
    if read.is_none() {
        violations.push(
            field,
            "not a valid duration; it must be from 1 microsecond to 10000 years, or be left out",
        );
    }
    read
}

/// Converts a timestamp. One beyond the range of the contract becomes the limit of the range.
pub(crate) fn timestamp_to_proto(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    prost_types::Timestamp {
        seconds: seconds.clamp(*SECONDS.start(), *SECONDS.end()),
        nanos: i32::try_from(micros.rem_euclid(MICROS_PER_SECOND) * 1_000).unwrap_or_default(),
    }
}

/// Converts a duration.
pub(super) fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    fn at(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    #[test]
    fn a_timestamp_round_trips_in_whole_microseconds() {
        for (seconds, nanos, back) in [
            (0, 0, 0),
            (1, 999, 0),
            (1, 1_999, 1_000),
            (-1, 999_999_999, 999_999_000),
            (*SECONDS.start(), 0, 0),
            (*SECONDS.end(), 999_999_999, 999_999_000),
        ] {
            let time = accepted(|violations| timestamp(violations, "t", Some(at(seconds, nanos))));
            let shown = timestamp_to_proto(time.unwrap());
            assert_eq!((shown.seconds, shown.nanos), (seconds, back));
        }
    }

    #[test]
    fn an_invalid_timestamp_is_a_violation() {
        for (seconds, nanos) in [
            (SECONDS.start() - 1, 0),
            (SECONDS.end() + 1, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, i32::MAX),
        ] {
            let fields = violated_fields(|violations| {
                _ = timestamp(violations, "t", Some(at(seconds, nanos)));
            });
            assert_eq!(fields, ["t"], "{seconds} {nanos}");
        }
        assert!(violated_fields(|violations| _ = timestamp(violations, "t", None)).is_empty());
    }

    #[test]
    fn a_timestamp_beyond_the_contract_becomes_its_maximum() {
        let end = timestamp_to_proto(Timestamp::from_micros(i64::MAX));
        assert_eq!(end.seconds, *SECONDS.end());
    }

    #[test]
    fn a_duration_is_positive() {
        let of = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let read = accepted(|violations| duration(violations, "d", of(1, 500_000_999))).unwrap();
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
            let fields =
                violated_fields(|violations| _ = duration(violations, "d", of(seconds, nanos)));
            assert_eq!(fields, ["d"], "{seconds} {nanos}");
        }
    }
}
