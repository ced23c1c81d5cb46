//! How long a call may take: `grpc-timeout` of the gRPC specification, and our own limit on top.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::methods::Shape;

/// A client without a deadline, or with a mistaken one, must not hold our resources for ever.
const LONGEST_UNARY: Duration = Duration::from_mins(5);
const HEADER: &str = "grpc-timeout";
const MOST_DIGITS: usize = 8;

/// The header is not what the specification says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How long this call may take; `None` for as long as it likes.
pub(super) fn of(headers: &HeaderMap, shape: Shape) -> Result<Option<Duration>, Malformed> {
    let wanted = headers.get(HEADER).map(parse).transpose()?;
    Ok(match shape {
        Shape::Unary => Some(wanted.map_or(LONGEST_UNARY, |wanted| wanted.min(LONGEST_UNARY))),
        Shape::Stream | Shape::EndlessStream => wanted,
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

    fn deadline(value: &'static str, shape: Shape) -> Result<Option<Duration>, Malformed> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(value));
        of(&headers, shape)
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
            assert_eq!(deadline(text, Shape::Stream), Ok(Some(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_not_guessed() {
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
            assert_eq!(of(&headers, Shape::Unary), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn unary_calls_have_a_longest_deadline_and_streams_have_none() {
        assert_eq!(deadline("6M", Shape::Unary), Ok(Some(LONGEST_UNARY)));
        assert_eq!(
            deadline("4M", Shape::Unary),
            Ok(Some(Duration::from_mins(4)))
        );
        assert_eq!(of(&HeaderMap::new(), Shape::Unary), Ok(Some(LONGEST_UNARY)));
        assert_eq!(of(&HeaderMap::new(), Shape::Stream), Ok(None));
        assert_eq!(
            deadline("6M", Shape::EndlessStream),
            Ok(Some(Duration::from_mins(6)))
        );
    }
}
