//! Where a page of a search ended: in which window, and after which match of it.

use parlance_domain::search::Score;
use parlance_storage::db::search::{SearchPosition, SearchWindow};

/// Matches that were ranked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The newest.
    pub(super) first: SearchPosition,
    /// The oldest.
    pub(super) last: SearchPosition,
    /// How many there were.
    pub(super) matches: usize,
    /// Whether there are none beyond.
    pub(super) is_last: bool,
}

/// The end of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cursor {
    pub(super) window: Window,
    /// Of the last match of the page.
    pub(super) score: Score,
    pub(super) place: SearchPosition,
}

const PLACE: usize = SearchPosition::LEN;
const LEN: usize = 3 * PLACE + 8 + 8 + 1;

impl Window {
    /// The same matches again, but for what has changed since.
    pub(super) fn stretch(self, limit: usize) -> SearchWindow {
        SearchWindow {
            beyond: None,
            from: Some(self.first),
            up_to: Some(self.last),
            enough: self.matches,
            limit,
        }
    }
}

impl Cursor {
    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let Self {
            window,
            score,
            place,
        } = self;
        let Window {
            first,
            last,
            matches,
            is_last,
        } = window;
        let matches = u64::try_from(matches).unwrap_or(u64::MAX);
        let parts = [
            &first.to_bytes()[..],
            &last.to_bytes(),
            &place.to_bytes(),
            &score.to_be_bytes(),
            &matches.to_be_bytes(),
            &[u8::from(is_last)],
        ];
        let mut bytes = [0; LEN];
        for (to, from) in bytes.iter_mut().zip(parts.concat()) {
            *to = from;
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let place = |at: usize| SearchPosition::from_bytes(&part(bytes, at));
        let matches = u64::from_be_bytes(part(bytes, 3 * PLACE + 8));
        Self {
            window: Window {
                first: place(0),
                last: place(PLACE),
                matches: usize::try_from(matches).unwrap_or(usize::MAX),
                is_last: bytes[LEN - 1] == 1,
            },
            place: place(2 * PLACE),
            score: Score::from_be_bytes(part(bytes, 3 * PLACE)),
        }
    }
}

fn part<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let place = |byte: u8| SearchPosition::from_bytes(&[byte; PLACE]);
        for is_last in [false, true] {
            let window = Window {
                first: place(9),
                last: place(3),
                matches: 1000,
                is_last,
            };
            let cursor = Cursor {
                window,
                score: 0.123_456_789,
                place: place(200),
            };
            assert_eq!(Cursor::from_bytes(&cursor.to_bytes()), cursor);
        }
    }
}
