//! Fence, commit and release, with leased fills: one key in Redis, two writers, two readers of two reads each; and, for
//! comparison, common other protocols.

mod reads;
mod rows;
mod writes;

use super::search::{Broken, Model, Steps};

const READS: u8 = 2;

/// How a write invalidates the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// Commit, then delete the value.
    DeleteAfterCommit,
    /// Delete, commit, delete.
    DoubleDelete,
    /// Commit, then set the value.
    SetAfterCommit,
    /// Commit, then store the version, below which no fill may fall.
    Tombstone,
    /// Fills need a lease; commit, then delete value and lease.
    LeaseAndDelete,
    /// Our protocol: fence, commit, release.
    Fence,
}

/// When a writer locks its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    BeforeFence,
    AfterFence,
    /// Keys that writers of different rows share, so that no row lock is common.
    Never,
}

/// Which readers may share the load of another (single flight).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    None,
    /// Readers that came before its SELECT.
    BeforeSelect,
    /// Readers that came before its end.
    AnyTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Faults {
    /// Writers that die.
    deaths: u8,
    /// Evicted leases, tombstones or values.
    evictions: u8,
    /// Lost leases or tombstones.
    losses: u8,
    /// Writers that do not reach Redis.
    disconnects: u8,
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    protocol: Protocol,
    lock: Lock,
    /// The lease is a set of writers' tokens; otherwise the last token alone.
    token_set: bool,
    sharing: Sharing,
    /// A degraded writer is acknowledged when its row was reconciled; otherwise at once.
    ack_when_reconciled: bool,
    faults: Faults,
}

const RULES: Rules = Rules {
    protocol: Protocol::Fence,
    lock: Lock::AfterFence,
    token_set: true,
    sharing: Sharing::None,
    ack_when_reconciled: true,
    faults: NO_FAULT,
};

const NO_FAULT: Faults = Faults {
    deaths: 0,
    evictions: 0,
    losses: 0,
    disconnects: 0,
};
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lease {
    Free,
    Reader(u8),
    /// A bit per writer.
    Writers(u8),
}

impl Lease {
    fn has(self, writer: usize) -> bool {
        matches!(self, Self::Writers(set) if set & (1 << writer) != 0)
    }

    fn without(self, writer: usize) -> Self {
        match self {
            Self::Writers(set) if set & !(1 << writer) != 0 => Self::Writers(set & !(1 << writer)),
            Self::Writers(_) | Self::Free | Self::Reader(_) => Self::Free,
        }
    }

    /// Without readers: what another writer's release leaves.
    fn of_writers(self) -> Self {
        match self {
            Self::Writers(_) => self,
            Self::Free | Self::Reader(_) => Self::Free,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    /// Has deleted before its commit.
    Deleted,
    /// Has locked the row, and not called Redis yet.
    Locked,
    /// Has fenced, and waits for the row lock.
    Waiting,
    /// Has fenced and locked the row.
    Fenced,
    /// Has locked the row, and could not fence.
    Degraded,
    Committed(u8),
    /// Committed with a pending row.
    DegradedCommitted(u8),
    /// Acknowledged before its row is reconciled.
    Unreconciled,
    Released(u8),
    Done,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Doing {
    Nothing,
    LookingUp,
    /// Has missed, and not read the database yet.
    Reading(Option<u8>),
    /// Has read this version.
    Read(Option<u8>, u8),
    /// Waits for the load of that reader, or has its version.
    Joined(u8, Option<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reader {
    doing: Doing,
    reads: u8,
    /// The acknowledged version when it began.
    acked: u8,
    /// The version that finished reads had returned when it began.
    returned: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    row: u8,
    value: Option<u8>,
    lease: Lease,
    tombstone: u8,
    acked: u8,
    returned: u8,
    writers: [Writer; 2],
    readers: [Reader; 2],
    next_token: u8,
    left: Faults,
}

impl State {
    fn commit(&mut self, writer: usize, then: fn(u8) -> Writer) {
        self.row += 1;
        self.writers[writer] = then(self.row);
    }

    fn is_locked(&self) -> bool {
        let holds = |w: &Writer| matches!(w, Writer::Locked | Writer::Fenced | Writer::Degraded);
        self.writers.iter().any(holds)
    }
}

impl Model for Rules {
    type State = State;

    fn start(&self) -> State {
        let reader = Reader {
            doing: Doing::Nothing,
            reads: 0,
            acked: 0,
            returned: 0,
        };
        State {
            row: 0,
            value: Some(0),
            lease: Lease::Free,
            tombstone: 0,
            acked: 0,
            returned: 0,
            writers: [Writer::Idle; 2],
            readers: [reader; 2],
            next_token: 1,
            left: self.faults,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for writer in 0..state.writers.len() {
            self.write(state, writer, steps);
            die(state, writer, steps);
        }
        lose(state, steps);
        for reader in 0..state.readers.len() {
            self.read(state, reader, steps);
        }
    }

    fn broken(&self, state: &State) -> Option<Broken> {
        let ended = |w: &Writer| matches!(w, Writer::Done | Writer::Dead);
        let quiet = state.writers.iter().all(ended)
            && state.readers.iter().all(|r| r.doing == Doing::Nothing);
        let stale = state.value.is_some_and(|value| value < state.row);
        (quiet && stale).then_some(Broken::LeftStale)
    }
}

fn die(state: &State, me: usize, steps: &mut Steps<State>) {
    let writer = state.writers[me];
    if state.lease.has(me) && writer == Writer::Dead {
        steps.step(
            || format!("the token of dead W{me} expires"),
            state,
            |s| s.lease = s.lease.without(me),
        );
    }
    if state.left.deaths == 0 || matches!(writer, Writer::Idle | Writer::Done | Writer::Dead) {
        return;
    }
    let reconciled = matches!(writer, Writer::DegradedCommitted(_) | Writer::Unreconciled);
    steps.step(
        || format!("W{me} dies, {writer:?}"),
        state,
        |s| {
            s.writers[me] = if reconciled {
                Writer::Unreconciled
            } else {
                Writer::Dead
            };
            s.left.deaths -= 1;
        },
    );
}

fn lose(state: &State, steps: &mut Steps<State>) {
    let fewer = |left: &mut Faults| {
        if left.losses > 0 {
            left.losses -= 1;
        } else {
            left.evictions -= 1;
        }
    };
    if state.left.losses + state.left.evictions > 0 {
        if state.lease != Lease::Free {
            steps.step(
                || "the lease is lost".to_owned(),
                state,
                |s| {
                    s.lease = Lease::Free;
                    fewer(&mut s.left);
                },
            );
        }
        if state.tombstone > 0 {
            steps.step(
                || "the tombstone is lost".to_owned(),
                state,
                |s| {
                    s.tombstone = 0;
                    fewer(&mut s.left);
                },
            );
        }
    }
    if state.left.evictions > 0 && state.value.is_some() {
        steps.step(
            || "the value is evicted".to_owned(),
            state,
            |s| {
                s.value = None;
                s.left.evictions -= 1;
            },
        );
    }
}
