//! Timestamps in UTC, as in the logs of the service.

use prost_types::Timestamp;

use super::table::Cell;

const DATE_AND_TIME: std::ops::Range<usize> = 0..19;
const TIME_OF_DAY: std::ops::Range<usize> = 11..23;

/// `2026-01-31 09:00:00`; empty if unset.
pub(super) fn date(time: Option<Timestamp>) -> Cell {
    Cell::new(part(time, DATE_AND_TIME))
}

/// `2026-01-31 09:00:00 UTC`, for output without a column title that names the zone.
pub(super) fn full(time: Option<Timestamp>) -> Cell {
    match part(time, DATE_AND_TIME) {
        empty if empty.is_empty() => Cell::new(empty),
        date => Cell::new(format!("{date} UTC")),
    }
}

/// `09:00:00.123`, for recent events.
pub(super) fn clock(time: Option<Timestamp>) -> Cell {
    Cell::new(part(time, TIME_OF_DAY))
}

fn part(time: Option<Timestamp>, range: std::ops::Range<usize>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    // The formatter omits trailing zeros of the fraction.
    let text = time.to_string().replace('T', " ").replace('Z', ".000");
    text.get(range).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_shortened() {
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
