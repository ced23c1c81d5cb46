//! Deadline of a call: `grpc-timeout` of the gRPC specification, and the service's own limit for unary calls.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::methods::MethodKind;

/// Limit of a unary call: a client without a deadline, or with a far too long one, must not keep resources for ever.
const LONGEST_UNARY: Duration = Duration::from_mins(5);
const HEADER: &str = "grpc-timeout";
const MOST_DIGITS: usize = 8;

/// The header does not follow the specification.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Returns the time that this call may take; `None` without a limit.
pub(super) fn of(headers: &HeaderMap, kind: MethodKind) -> Result<Option<Duration>, Malformed> {
    let wanted = headers.get(HEADER).map(parse).transpose()?;
    Ok(match kind {
        MethodKind::Unary => Some(wanted.map_or(LONGEST_UNARY, |wanted| wanted.min(LONGEST_UNARY))),
        MethodKind::Stream | MethodKind::EndlessStream => wanted,
    })
}

fn parse(value: &HeaderValue) -> Result<Duration, Malformed> {
    let (unit, digits) = value.as_bytes().split_last().ok_or(Malformed)?;
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return Err(Malformed);
    }
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Malformed);
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    match unit {
        b'H' => Ok(Duration::from_secs(number * 3600)),
        b'M' => Ok(Duration::from_secs(number * 60)),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(value: &'static str, kind: MethodKind) -> Result<Option<Duration>, Malformed> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(value));
        of(&headers, kind)
    }

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("3H", Duration::from_hours(3)),
            ("1M", Duration::from_mins(1)),
            ("42S", Duration::from_secs(42)),
            ("13m", Duration::from_millis(13)),
            ("2u", Duration::from_micros(2)),
            ("82n", Duration::from_nanos(82)),
            ("0S", Duration::ZERO),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(
                deadline(text, MethodKind::Stream),
                Ok(Some(expected)),
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_timeouts_are_refused() {
        for text in [
            "",
            "S",
            "5",
            "5s",
            "+5S",
            "-5S",
            "5 S",
            "5.0S",
            "123456789S",
            "5SS",
            "ﬁ",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            assert_eq!(of(&headers, MethodKind::Unary), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn unary_calls_have_a_longest_deadline_and_streams_have_none() {
        assert_eq!(deadline("6M", MethodKind::Unary), Ok(Some(LONGEST_UNARY)));
        assert_eq!(
            deadline("4M", MethodKind::Unary),
            Ok(Some(Duration::from_mins(4)))
        );
        assert_eq!(
            of(&HeaderMap::new(), MethodKind::Unary),
            Ok(Some(LONGEST_UNARY))
        );
        assert_eq!(of(&HeaderMap::new(), MethodKind::Stream), Ok(None));
        assert_eq!(
            deadline("6M", MethodKind::EndlessStream),
            Ok(Some(Duration::from_mins(6)))
        );
    }
}
