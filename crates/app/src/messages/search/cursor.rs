//! Position in a search: the window, and the last match of the page in it.

use parlance_domain::search::Score;
use parlance_storage::db::search::{SearchPosition, SearchWindow};

/// Matches that were ranked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The newest match.
    pub(super) first: SearchPosition,
    /// The oldest match.
    pub(super) last: SearchPosition,
    /// Number of matches.
    pub(super) matches: usize,
    /// Whether no matches follow.
    pub(super) is_last: bool,
}

/// The end of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cursor {
    pub(super) window: Window,
    /// Score of the page's last match.
    pub(super) score: Score,
    pub(super) position: SearchPosition,
}

const POSITION: usize = SearchPosition::LEN;
const LEN: usize = 3 * POSITION + 8 + 8 + 1;

impl Window {
    /// The stretch that finds the same matches again, except for changes since.
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
            position,
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
            &position.to_bytes(),
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
        let position = |at: usize| SearchPosition::from_bytes(&part(bytes, at));
        let matches = u64::from_be_bytes(part(bytes, 3 * POSITION + 8));
        Self {
            window: Window {
                first: position(0),
                last: position(POSITION),
                matches: usize::try_from(matches).unwrap_or(usize::MAX),
                is_last: bytes[LEN - 1] == 1,
            },
            position: position(2 * POSITION),
            score: Score::from_be_bytes(part(bytes, 3 * POSITION)),
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
        let position = |byte: u8| SearchPosition::from_bytes(&[byte; POSITION]);
        for is_last in [false, true] {
            let window = Window {
                first: position(9),
                last: position(3),
                matches: 1000,
                is_last,
            };
            let cursor = Cursor {
                window,
                score: 0.123_456_789,
                position: position(200),
            };
            assert_eq!(Cursor::from_bytes(&cursor.to_bytes()), cursor);
        }
    }
}
