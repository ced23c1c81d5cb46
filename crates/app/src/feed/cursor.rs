//! Cursors: a client's position in the feed, as text.

use parlance_storage::feed::{FeedState, Position};

use crate::error::{Error, Reason, Result};

/// Formats `<epoch>-<transaction>-<event>`.
pub(crate) fn write(epoch: i64, position: Position) -> String {
    format!("{epoch}-{}-{}", position.xid, position.id)
}

/// Parses a non-empty cursor; `0` is the position before the oldest event that is kept.
pub(crate) fn read(cursor: &str, state: FeedState) -> Result<Position> {
    if cursor == "0" {
        return Ok(state.pruned);
    }
    let malformed = || {
        Error::invalid_field(
            "cursor",
            "is not a cursor; pass the cursor of an event unchanged, \"0\", or none",
        )
    };
    let mut parts = cursor.split('-');
    let epoch: i64 = number(parts.next()).ok_or_else(malformed)?;
    let xid = number(parts.next()).ok_or_else(malformed)?;
    let id = number(parts.next()).ok_or_else(malformed)?;
    if parts.next().is_some() {
        return Err(malformed());
    }
    let position = Position { xid, id };
    // A position beyond the end of the feed belongs to a state that the database has lost.
    if epoch != state.epoch || position < state.pruned || position > state.end {
        return Err(expired());
    }
    Ok(position)
}

pub(crate) fn expired() -> Error {
    Error::new(
        Reason::CursorExpired,
        "the cursor is older than the retention of the feed, or belongs to a state that the database has lost; read the \
         conversations again, then watch without a cursor",
    )
}

fn number<T: std::str::FromStr>(part: Option<&str>) -> Option<T> {
    let digits =
        part.filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: FeedState = FeedState {
        epoch: 7,
        pruned: Position { xid: 10, id: 3 },
        end: Position { xid: 20, id: 0 },
    };

    #[test]
    fn a_written_cursor_is_read_back() {
        let position = Position { xid: 12, id: 34 };
        assert_eq!(read(&write(7, position), STATE).unwrap(), position);
        assert_eq!(read("0", STATE).unwrap(), STATE.pruned);
        assert_eq!(read(&write(7, STATE.pruned), STATE).unwrap(), STATE.pruned);
    }

    #[test]
    fn a_cursor_from_a_lost_state_has_expired() {
        let at = |xid, id| read(&write(7, Position { xid, id }), STATE);
        assert!(at(20, 0).is_ok());
        for (xid, id) in [(20, 1), (21, 0), (u64::MAX, i64::MAX)] {
            assert_eq!(
                at(xid, id).unwrap_err().reason,
                Reason::CursorExpired,
                "{xid}"
            );
        }
    }

    #[test]
    fn distinguishes_malformed_from_expired_cursors() {
        for malformed in [
            "x",
            "7",
            "7-1",
            "7-1-2-3",
            "7--2",
            "-7-1-2",
            "7-1-+2",
            "99999999999999999999-1-2",
            " 7-1-2",
        ] {
            assert_eq!(
                read(malformed, STATE).unwrap_err().reason,
                Reason::InvalidRequest,
                "{malformed}"
            );
        }
        for expired in ["7-10-2", "7-9-9", "8-12-34"] {
            assert_eq!(
                read(expired, STATE).unwrap_err().reason,
                Reason::CursorExpired,
                "{expired}"
            );
        }
    }
}
