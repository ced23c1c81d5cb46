//! What was acknowledged and what was seen, and whether that fits the promise.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::gate::{GATE_TTL, MARGIN};

/// What is known at a moment: the versions that every later read must reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Floor {
    version: u64,
    messages: BTreeMap<usize, u64>,
    /// How often anything has changed.
    changes: u64,
    /// How often what was acknowledged was lost: of what is lost while a read goes on nothing is due.
    losses: usize,
    /// When the read began.
    since: Option<Instant>,
}

/// The database went back to an earlier state: versions above those of that state, and below all that were written later, are lost.
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
    /// Whether a read that began then must not show what was lost: every gate that was open has shut.
    fn is_settled(&self, floor: &Floor) -> bool {
        floor.since >= Some(self.at + GATE_TTL + MARGIN)
    }

    fn check(&self, kept: u64, found: u64) -> Result<(), String> {
        if found > kept && found < self.next {
            return Err(format!("{found} was read, which the database has lost"));
        }
        Ok(())
    }
}

/// What was acknowledged and what was seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    acknowledged: Floor,
    /// Where nothing is lost, what any finished read has seen is seen by all later ones.
    seen: Floor,
    losses: Vec<Loss>,
}

impl Floor {
    fn raise(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    fn raise_message(&mut self, place: usize, version: u64) {
        let known = self.messages.entry(place).or_default();
        *known = version.max(*known);
    }
}

impl History {
    pub(super) fn acknowledge(&mut self, version: u64) {
        self.acknowledged.raise(version);
    }

    pub(super) fn acknowledge_message(&mut self, place: usize, version: u64) {
        self.acknowledged.raise_message(place, version);
    }

    /// At least so many changes were true when a write was acknowledged.
    pub(super) fn acknowledge_changes(&mut self, changes: u64) {
        self.acknowledged.changes = self.acknowledged.changes.max(changes);
    }

    /// What was acknowledged after this state is lost.
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
        known.messages.retain(|place, version| {
            let left = messages.get(*place - 1);
            *version = left.copied().unwrap_or_default().min(*version);
            left.is_some()
        });
        self.seen = Floor::default();
    }

    /// Statistics were read: before an acknowledgement they may show a change or not, and again not.
    pub(super) fn read_changes(&self, floor: &Floor, changes: u64) -> Result<(), String> {
        if self.has_lost(floor) {
            return Ok(());
        }
        for loss in self.settled(floor) {
            loss.check(loss.changes, changes)?;
        }
        if changes < floor.changes {
            return Err(format!(
                "{changes} changes were read, at least {} were due",
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

    /// What a read that begins now must see.
    pub(super) fn floor(&self, lossless: bool) -> Floor {
        let mut floor = self.acknowledged.clone();
        floor.losses = self.losses.len();
        floor.since = Some(Instant::now());
        if lossless {
            floor.raise(self.seen.version);
            for (place, version) in &self.seen.messages {
                floor.raise_message(*place, *version);
            }
        }
        floor
    }

    /// A read has ended; what is wrong with it.
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
                "version {version} was read, at least {} was due",
                floor.version
            ));
        }
        Ok(())
    }

    /// The same for the list: places and versions, newest first.
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
            for (place, version) in list {
                let kept = loss.messages.get(*place - 1).copied();
                loss.check(kept.unwrap_or_default(), *version)?;
            }
        }
        let found: BTreeMap<usize, u64> = list.iter().copied().collect();
        for (place, version) in &found {
            self.seen.raise_message(*place, *version);
        }
        for (place, due) in &floor.messages {
            let version = found.get(place).copied().unwrap_or_default();
            if version < *due {
                return Err(format!("{list:?} lacks version {due} of message {place}"));
            }
        }
        Ok(())
    }
}
