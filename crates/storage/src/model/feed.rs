//! Events of the change feed, and positions in it.

use parlance_domain::{Event, Owner, Timestamp};

/// Position in the feed: everything up to and including it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Transaction id; 0 on SQLite.
    pub xid: u64,
    /// Id of the event.
    pub id: i64,
}

/// An event with its position and owner.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEvent {
    /// Position in the feed.
    pub position: Position,
    /// Owner of the event.
    pub owner: Owner,
    /// The change.
    pub event: Event,
    /// Bytes of its copy of the row.
    pub bytes: u64,
}

/// Events after a position.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedPage {
    /// The events, in order.
    pub events: Vec<FeedEvent>,
    /// All events up to here have been looked at.
    pub up_to: Position,
    /// Whether there may be more events right after that.
    pub more: bool,
    /// Time of the oldest event that is written and cannot be shown yet, because an older transaction still runs.
    pub blocked_since: Option<Timestamp>,
}

/// How far a process has read the feed. By default it has read nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedProgress {
    /// Epoch of the feed.
    pub epoch: i64,
    /// Position of an event, or a position before which everything had been read.
    pub position: Position,
}

/// Identity and bounds of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedState {
    /// Epoch of this feed: a cursor of another epoch is invalid.
    pub epoch: i64,
    /// Everything up to here has been removed.
    pub pruned: Position,
    /// No event that can be read by now is after this position.
    pub end: Position,
}

/// Where a reader starts that wants only what is committed from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedStart {
    /// Read after this.
    pub position: Position,
    /// What was committed already; its events may still follow, and are to be skipped.
    pub seen: Option<Snapshot>,
}

/// A Postgres snapshot: which transactions were finished when it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    running: Vec<u64>,
}

impl Snapshot {
    /// Parses `xmin:xmax:xip,xip,...`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?;
        let running = if running.is_empty() {
            Vec::new()
        } else {
            running
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .ok()?
        };
        parts.next().is_none().then_some(Self {
            xmin,
            xmax,
            running,
        })
    }

    pub(crate) const fn xmin(&self) -> u64 {
        self.xmin
    }

    /// Whether the transaction was finished when the snapshot was taken.
    pub fn contains(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_contains_finished_transactions() {
        let snapshot = Snapshot::parse("10:20:12,15").unwrap();
        let finished: Vec<u64> = (8..22).filter(|xid| snapshot.contains(*xid)).collect();
        assert_eq!(finished, [8, 9, 10, 11, 13, 14, 16, 17, 18, 19]);
        assert_eq!(
            Snapshot::parse("10:10:").unwrap().running,
            Vec::<u64>::new()
        );
        for bad in ["", "10", "10:20", "10:20:x", "10:20:1:2", "a:b:"] {
            assert_eq!(Snapshot::parse(bad), None, "{bad}");
        }
    }
}
