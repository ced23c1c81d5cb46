//! ISO 8601 times in UTC with microseconds: `2026-01-02T03:04:05.678901Z`. Years with more or fewer than four digits
//! are signed and have six, as the standard requires, so that every time is read back.

use std::fmt;

use parlance_domain::Timestamp;

const MICROS: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60;
/// Period of the calendar.
const DAYS_OF_400_YEARS: i64 = 146_097;
/// From 1 March of year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

pub(super) fn write(time: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let micros = time.as_micros();
    let (seconds, fraction) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date(days);
    match year {
        0..=9999 => write!(f, "{year:04}")?,
        _ => write!(f, "{year:+07}")?,
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        f,
        "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z"
    )
}

/// Accepts only the form that is written.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let signed = text.starts_with(['+', '-']);
    let (year, rest) = text.split_at_checked(if signed { 7 } else { 4 })?;
    let year = if signed {
        let (sign, digits) = year.split_at_checked(1)?;
        let year = number(digits)?;
        let year = if sign == "-" { -year } else { year };
        // Each year has only one form.
        Some(year).filter(|year| !(0..=9999).contains(year))?
    } else {
        number(year)?
    };
    let rest = rest.strip_suffix('Z')?;
    let [month, day, hour, minute, second, fraction] = parts(rest)?;
    let days = days(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds =
        i128::from(days) * i128::from(DAY) + i128::from((hour * 60 + minute) * 60 + second);
    let micros = seconds * i128::from(MICROS) + i128::from(fraction);
    i64::try_from(micros).ok().map(Timestamp::from_micros)
}

/// The numbers of `-MM-DDThh:mm:ss.ffffff`.
fn parts(text: &str) -> Option<[i64; 6]> {
    const SHAPE: [(&str, usize); 6] = [("-", 2), ("-", 2), ("T", 2), (":", 2), (":", 2), (".", 6)];
    let mut rest = text;
    let mut numbers = [0; 6];
    for (number_of, (mark, digits)) in numbers.iter_mut().zip(SHAPE) {
        let (digits, after) = rest.strip_prefix(mark)?.split_at_checked(digits)?;
        *number_of = number(digits)?;
        rest = after;
    }
    rest.is_empty().then_some(numbers)
}

/// Digits only: `parse` would accept a sign.
fn number(digits: &str) -> Option<i64> {
    let legal = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| legal)
}

/// The date of a day since 1970. The year is counted from March, so that the leap day is its last day.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (
        days.div_euclid(DAYS_OF_400_YEARS),
        days.rem_euclid(DAYS_OF_400_YEARS),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

/// The day of a date since 1970; `None` for a date that does not exist.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let from_march = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (from_march.div_euclid(400), from_march.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        era * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
    (date(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scalar::Scalar;
    use super::*;

    fn text_of(micros: i64) -> String {
        Scalar(Timestamp::from_micros(micros)).to_string()
    }

    #[test]
    fn known_times_have_their_iso_8601_form() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "+010000-01-01T00:00:00.000000Z"),
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            assert_eq!(text_of(micros), text);
            assert_eq!(read(text), Some(Timestamp::from_micros(micros)));
        }
    }

    #[test]
    fn invalid_times_are_rejected() {
        for text in [
            "",
            "Z",
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20.123456",
            "2023-11-14 22:13:20.123456Z",
            "2023-11-14T22:13:20.1234567Z",
            "2023-11-14T22:13:20.12345\u{e9}Z",
            "2023-02-29T00:00:00.000000Z",
            "2023-13-01T00:00:00.000000Z",
            "2023-00-01T00:00:00.000000Z",
            "2023-01-32T00:00:00.000000Z",
            "2023-01-01T24:00:00.000000Z",
            "2023-01-01T00:60:00.000000Z",
            "2023-01-01T00:00:60.000000Z",
            "2023-+1-01T00:00:00.000000Z",
            "+002023-01-01T00:00:00.000000Z",
            "-000000-01-01T00:00:00.000000Z",
            "+294247-01-10T04:00:54.775808Z",
            "+999999-12-31T23:59:59.999999Z",
            "\u{1f600}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_read_back(micros: i64) {
            prop_assert_eq!(read(&text_of(micros)), Some(Timestamp::from_micros(micros)));
        }

        #[test]
        fn times_of_four_digit_years_sort_as_their_texts(a in 0_i64..253_402_300_800_000_000, b in 0_i64..253_402_300_800_000_000) {
            prop_assert_eq!(a.cmp(&b), text_of(a).cmp(&text_of(b)));
        }

        #[test]
        fn only_the_written_form_is_read(text in "[-+]?[0-9]{4,6}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9].[0-9]{6}Z") {
            if let Some(time) = read(&text) {
                prop_assert_eq!(text_of(time.as_micros()), text);
            }
        }
    }
}
