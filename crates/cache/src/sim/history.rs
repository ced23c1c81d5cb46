//! History checker: acknowledged writes and finished reads, compared with the guarantee.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::gate::{GATE_TTL, MARGIN};

/// Versions that every later read must reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Floor {
    version: u64,
    messages: BTreeMap<usize, u64>,
    /// Number of changes.
    changes: u64,
    /// Number of losses so far; a read with a loss during it is not checked.
    losses: usize,
    /// When the read began.
    since: Option<Instant>,
}

/// Return of the database to an earlier state. Versions above those of that state and below all later ones are lost.
#[derive(Debug, Clone)]
struct Loss {
    at: Instant,
    version: u64,
    messages: Vec<u64>,
    changes: u64,
    /// The first version that can be written later.
    next: u64,
}

impl Loss {
    /// Whether a read that began at the floor must not show lost versions: every gate that was open has shut.
    fn is_settled(&self, floor: &Floor) -> bool {
        floor.since >= Some(self.at + GATE_TTL + MARGIN)
    }

    fn check(&self, left: u64, found: u64) -> Result<(), String> {
        if found > left && found < self.next {
            return Err(format!("{found} was read, but the database has lost it"));
        }
        Ok(())
    }
}

/// Acknowledged and seen versions so far.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    acknowledged: Floor,
    /// Versions seen by finished reads. In a lossless run all later reads must see them too.
    seen: Floor,
    losses: Vec<Loss>,
}

impl Floor {
    fn raise(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    fn raise_message(&mut self, sequence: usize, version: u64) {
        let known = self.messages.entry(sequence).or_default();
        *known = version.max(*known);
    }
}

impl History {
    pub(super) fn acknowledge(&mut self, version: u64) {
        self.acknowledged.raise(version);
    }

    pub(super) fn acknowledge_message(&mut self, sequence: usize, version: u64) {
        self.acknowledged.raise_message(sequence, version);
    }

    /// Records the number of committed changes when a write was acknowledged.
    pub(super) fn acknowledge_changes(&mut self, changes: u64) {
        self.acknowledged.changes = self.acknowledged.changes.max(changes);
    }

    /// Records that writes acknowledged after this state are lost.
    pub(super) fn go_back(&mut self, version: u64, messages: &[u64], changes: u64, next: u64) {
        self.losses.push(Loss {
            at: Instant::now(),
            version,
            messages: messages.to_vec(),
            changes,
            next,
        });
        let known = &mut self.acknowledged;
        known.version = known.version.min(version);
        known.changes = known.changes.min(changes);
        known.messages.retain(|sequence, version| {
            let left = messages.get(*sequence - 1);
            *version = left.copied().unwrap_or_default().min(*version);
            left.is_some()
        });
        self.seen = Floor::default();
    }

    /// Checks a read of statistics. Before its acknowledgement a change may be visible in one read and not in the next.
    pub(super) fn read_changes(&self, floor: &Floor, changes: u64) -> Result<(), String> {
        if self.has_lost(floor) {
            return Ok(());
        }
        for loss in self.settled(floor) {
            loss.check(loss.changes, changes)?;
        }
        if changes < floor.changes {
            return Err(format!(
                "{changes} changes were read, expected at least {}",
                floor.changes
            ));
        }
        Ok(())
    }

    fn has_lost(&self, floor: &Floor) -> bool {
        self.losses.len() != floor.losses
    }

    fn settled(&self, floor: &Floor) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(|loss| loss.is_settled(floor))
    }

    /// Floor of a read that begins now.
    pub(super) fn floor(&self, lossless: bool) -> Floor {
        let mut floor = self.acknowledged.clone();
        floor.losses = self.losses.len();
        floor.since = Some(Instant::now());
        if lossless {
            floor.raise(self.seen.version);
            for (sequence, version) in &self.seen.messages {
                floor.raise_message(*sequence, *version);
            }
        }
        floor
    }

    /// Checks a finished read.
    pub(super) fn read(&mut self, floor: &Floor, version: u64) -> Result<(), String> {
        if self.has_lost(floor) {
            return Ok(());
        }
        for loss in self.settled(floor) {
            loss.check(loss.version, version)?;
        }
        self.seen.raise(version);
        if version < floor.version {
            return Err(format!(
                "version {version} was read, expected at least {}",
                floor.version
            ));
        }
        Ok(())
    }

    /// Checks a finished read of the list: sequences and versions, newest first.
    pub(super) fn read_list(&mut self, floor: &Floor, list: &[(usize, u64)]) -> Result<(), String> {
        for pair in list.windows(2) {
            if pair[0].0 != pair[1].0 + 1 {
                return Err(format!("{list:?} is out of order"));
            }
        }
        if self.has_lost(floor) {
            return Ok(());
        }
        for loss in self.settled(floor) {
            for (sequence, version) in list {
                let left = loss.messages.get(*sequence - 1).copied();
                loss.check(left.unwrap_or_default(), *version)?;
            }
        }
        let found: BTreeMap<usize, u64> = list.iter().copied().collect();
        for (sequence, version) in &found {
            self.seen.raise_message(*sequence, *version);
        }
        for (sequence, due) in &floor.messages {
            let version = found.get(sequence).copied().unwrap_or_default();
            if version < *due {
                return Err(format!(
                    "{list:?} lacks version {due} of message {sequence}"
                ));
            }
        }
        Ok(())
    }
}
