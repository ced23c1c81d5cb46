//! Dates of Twilio's API: RFC 2822 in responses, ISO 8601 in parameters.

use std::time::Duration;

use parlance_domain::Timestamp;

const DAY_SECONDS: i64 = 86_400;
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Returns a time as in `Mon, 30 Nov 2026 16:20:48 +0000`.
pub(super) fn rfc2822(time: Timestamp) -> String {
    let seconds = time.as_millis().div_euclid(1_000);
    let (days, second) = (
        seconds.div_euclid(DAY_SECONDS),
        seconds.rem_euclid(DAY_SECONDS),
    );
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], position: i64| {
        let position = usize::try_from(position).unwrap_or_default();
        names.get(position).copied().unwrap_or_default()
    };
    let weekday = name(&DAYS, (days + 4).rem_euclid(7));
    let month = name(&MONTHS, month - 1);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// A day or a time, as filters and schedules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) start: Timestamp,
    /// Whether it is a whole day.
    pub(super) is_day: bool,
}

impl Date {
    /// Parses `2026-11-30`, or `2026-11-30T16:20:48Z` with an optional fraction and an optional offset instead of `Z`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once(['T', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-').map(number);
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() || !(1..=12).contains(&month) || year > 9_999 {
            return None;
        }
        let days = days(year, month, day);
        // A day that the month does not have would be one of the next month.
        if civil(days) != (year, month, day) {
            return None;
        }
        let micros = match time {
            Some(time) => time_of_day(time)?,
            None => 0,
        };
        let start = days * DAY_SECONDS * 1_000_000 + micros;
        Some(Self {
            start: Timestamp::from_micros(start),
            is_day: time.is_none(),
        })
    }

    /// First time after it.
    pub(super) fn end(self) -> Timestamp {
        let length = if self.is_day {
            Duration::from_hours(24)
        } else {
            Duration::from_micros(1)
        };
        self.start.plus(length)
    }

    /// The day that it is in.
    pub(super) fn day(self) -> Self {
        let day_micros = DAY_SECONDS * 1_000_000;
        let start = self.start.as_micros().div_euclid(day_micros) * day_micros;
        Self {
            start: Timestamp::from_micros(start),
            is_day: true,
        }
    }
}

/// Microseconds since midnight in UTC of `16:20:48.5+01:00`.
fn time_of_day(text: &str) -> Option<i64> {
    let zone = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (time, zone) = text.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_valid = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    let fraction = format!("{fraction:0<6}");
    let micros = number(fraction.get(..6)?)?;
    let offset = match zone {
        "" | "Z" => 0,
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = number(hours)? * 60 + number(minutes)?;
            if minutes > 24 * 60 {
                return None;
            }
            if zone.starts_with('-') {
                -minutes
            } else {
                minutes
            }
        }
    };
    let seconds = hour * 3_600 + minute * 60 + second - offset * 60;
    is_valid.then_some(seconds * 1_000_000 + micros)
}

/// Parses at most six digits.
fn number(text: &str) -> Option<i64> {
    let is_number = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = year - i64::from(month <= 2);
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &str) -> Option<i64> {
        Date::parse(text).map(|date| date.start.as_micros())
    }

    #[test]
    fn times_are_shown_as_in_mail() {
        for (micros, shown) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_400_000_000, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_692_853_305_999_999, "Thu, 24 Aug 2023 05:01:45 +0000"),
            (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
        ] {
            assert_eq!(rfc2822(Timestamp::from_micros(micros)), shown);
        }
    }

    #[test]
    fn days_and_times_are_parsed() {
        let day = 951_782_400_000_000;
        for text in [
            "2000-02-29",
            "2000-02-29T00:00:00Z",
            "2000-02-29T01:00:00+01:00",
        ] {
            assert_eq!(start(text), Some(day), "{text}");
        }
        assert_eq!(start("2000-02-28T19:00:00.25-05:00"), Some(day + 250_000));
        for text in [
            "",
            "2000-02-30",
            "2001-02-29",
            "2000-13-01",
            "2000-00-01",
            "2000-1",
            "2000-02-29T25:00:00Z",
            "2000-02-29T00:00",
            "2000-02-29T00:00:00+x",
            "20000-01-01",
            "\u{e4}",
        ] {
            assert_eq!(start(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_five_centuries_round_trips() {
        for days_since in -73_000..110_000 {
            let (year, month, day) = civil(days_since);
            assert_eq!(days(year, month, day), days_since);
        }
    }

    #[test]
    fn a_day_ends_with_the_next_one() {
        let date = Date::parse("2026-11-30").unwrap();
        assert_eq!(Some(date.end().as_micros()), start("2026-12-01"));
        let noon = Date::parse("2026-11-30T12:00:00Z").unwrap();
        assert_eq!(noon.day(), date);
        assert_eq!(noon.end().since(noon.start), Duration::from_micros(1));
    }
}
