//! Moments, in UTC: what the service's logs say, too.

use prost_types::Timestamp;

use super::table::Cell;

const DATE_AND_TIME: std::ops::Range<usize> = 0..19;
const TIME_OF_DAY: std::ops::Range<usize> = 11..23;

/// `2026-01-31 09:00:00`; nothing for none.
pub(super) fn date(time: Option<Timestamp>) -> Cell {
    Cell::new(part(time, DATE_AND_TIME))
}

/// `2026-01-31 09:00:00 UTC`, where no head of a column says so.
pub(super) fn full(time: Option<Timestamp>) -> Cell {
    match part(time, DATE_AND_TIME) {
        none if none.is_empty() => Cell::new(none),
        date => Cell::new(format!("{date} UTC")),
    }
}

/// `09:00:00.123`, where only the last moments matter.
pub(super) fn clock(time: Option<Timestamp>) -> Cell {
    Cell::new(part(time, TIME_OF_DAY))
}

fn part(time: Option<Timestamp>, range: std::ops::Range<usize>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    // Of a second only the digits are written that are not zero.
    let text = time.to_string().replace('T', " ").replace('Z', ".000");
    text.get(range).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_short() {
        for (text, date, clock) in [
            (
                "2026-01-31T09:00:00Z",
                "2026-01-31 09:00:00",
                "09:00:00.000",
            ),
            (
                "2026-01-31T09:00:00.1234567Z",
                "2026-01-31 09:00:00",
                "09:00:00.123",
            ),
            (
                "2026-01-31T09:00:00.5Z",
                "2026-01-31 09:00:00",
                "09:00:00.500",
            ),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(part(Some(time), DATE_AND_TIME), date);
            assert_eq!(part(Some(time), TIME_OF_DAY), clock);
        }
        assert_eq!(part(None, DATE_AND_TIME), "");
    }
}
