//! CUT, DRAIN, GATE and EPOCH: two instances and maybe a writer without Redis, one key, one Postgres (a commit is one event,
//! every read another), a Redis that any instance may be cut from, that fails over to empty, old or current data in another
//! process, and whose old process may go on answering who is still connected to it.
//!
//! Time is a set of countdowns that one event moves, so it is unbounded, and any step may take any number of ticks.

mod clients;
mod instances;
mod rows;

use super::search::{Broken, Model, Steps};

/// How long a gate stays open, in ticks.
const G: u8 = 2;
/// Epochs that may be recorded; more would go on for ever.
const EPOCHS: u8 = 3;
const INSTANCES: [usize; 2] = [0, 1];

/// Where a writer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    On(usize),
    /// An instance without Redis.
    Off,
}

/// How a DRAIN's transactions follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    RenewThenRead,
    ReadThenRenew,
    /// The rows are read before the renewal is committed.
    OneTransaction,
}

/// When a writer that could not release is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ack {
    AtOnce,
    WhenDrained,
    /// Or nobody may serve any more who might not have seen its row.
    WhenDrainedOrPassed,
}

/// What is recorded of the process that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    Nothing,
    WithoutWait,
    /// And for `G` after it nobody serves.
    AndWait,
}

/// When a writer looks at its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    Never,
    AtFence,
    AtFenceAndAck,
}

/// What becomes of the rows that wait when a new epoch is recorded for want of patience with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewEpoch {
    Never,
    KeepsRows,
    DeletesRows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Faults {
    /// Connections that break.
    cuts: u8,
    failovers: u8,
    /// Fences that go before their time.
    losses: u8,
    /// Ticks that the clock of an instance misses.
    slow_ticks: u8,
    /// Fences and releases that fail though Redis is reached.
    failures: u8,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that is there or not"
)]
struct Rules {
    writers: &'static [Home],
    /// Who fills.
    fillers: &'static [usize],
    order: Order,
    ack: Ack,
    /// A cut writer waits for its own instance too.
    waits_for_own: bool,
    /// It reads `serves_until` after its commit.
    waits_from_commit: bool,
    /// A DRAIN deletes the rows that it read; else those of their keys.
    deletes_rows_read: bool,
    /// And only under its epoch.
    delete_checks_epoch: bool,
    /// The gate is counted from the beginning of the DRAIN.
    gate_from_begin: bool,
    /// A read looks at the gate before it asks Redis.
    read_looks_first: bool,
    fill_looks: bool,
    writer_looks: Looks,
    record: Record,
    stamped: bool,
    /// Added to `serves_until`.
    margin: u8,
    /// `serves_until` is by the database's clock; else instance 1 is a tick behind.
    database_clock: bool,
    /// Instance 1 is new.
    fresh: bool,
    /// A new instance drains before it serves.
    drains_first: bool,
    /// After a failed release the rows are written, and waited for.
    failed_release_writes_rows: bool,
    new_epoch: NewEpoch,
    faults: Faults,
    /// An old process goes on answering.
    split: bool,
    /// A failover leads back to the process that was there before.
    back: bool,
    /// It is checked that an instance serves again.
    live: bool,
}

const RULES: Rules = Rules {
    writers: &[Home::On(0), Home::Off],
    fillers: &[1],
    order: Order::RenewThenRead,
    ack: Ack::WhenDrainedOrPassed,
    waits_for_own: true,
    waits_from_commit: true,
    deletes_rows_read: true,
    delete_checks_epoch: true,
    gate_from_begin: true,
    read_looks_first: true,
    fill_looks: true,
    writer_looks: Looks::AtFenceAndAck,
    record: Record::AndWait,
    stamped: true,
    margin: 0,
    database_clock: true,
    fresh: false,
    drains_first: true,
    failed_release_writes_rows: true,
    new_epoch: NewEpoch::Never,
    faults: Faults {
        cuts: 1,
        failovers: 0,
        losses: 0,
        slow_ticks: 0,
        failures: 0,
    },
    split: false,
    back: false,
    live: false,
};

/// The processes that were recorded, by epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Epochs {
    process: [u8; 8],
    count: u8,
}

impl Epochs {
    fn of(self, epoch: u8) -> u8 {
        self.process[usize::from(epoch)]
    }

    fn last(self) -> u8 {
        self.count - 1
    }

    fn push(&mut self, process: u8) {
        self.process[usize::from(self.count)] = process;
        self.count += 1;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lease {
    Free,
    Reader(u8),
    /// A bit per writer.
    Writers(u8),
}

impl Lease {
    fn without(self, writers: u8) -> Self {
        match self {
            Self::Writers(set) if set & !writers != 0 => Self::Writers(set & !writers),
            Self::Writers(_) | Self::Free | Self::Reader(_) => Self::Free,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Value {
    version: u8,
    epoch: u8,
}

/// A Redis process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    value: Option<Value>,
    lease: Lease,
}

const EMPTY: Process = Process {
    value: None,
    lease: Lease::Free,
};
const OLD: Process = Process {
    value: Some(Value {
        version: 0,
        epoch: 0,
    }),
    lease: Lease::Free,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Gate {
    /// Ticks until it shuts.
    left: u8,
    epoch: u8,
}

const SHUT: Gate = Gate { left: 0, epoch: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Drain {
    Idle,
    /// In the wrong order: has read rows, and not renewed.
    ReadFirst(Gate, u8),
    /// Has committed `serves_until`; its gate, if it ends well, is this.
    Renewed(Gate),
    /// Has read rows, a bit per writer.
    Read(Gate, u8),
    /// Has released their keys.
    Released(Gate, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    /// In the wrong order: knows how long it will wait, and has not committed.
    KnowsWait(u8),
    Fenced {
        process: u8,
        epoch: u8,
    },
    Committed {
        version: u8,
        process: u8,
        epoch: u8,
    },
    Released {
        version: u8,
        epoch: u8,
    },
    /// And its rows are not written yet.
    NotReleased(u8),
    /// Its rows are committed.
    RowsWritten(u8),
    Waiting {
        version: u8,
        left: u8,
    },
    Done,
}

/// A read at instance 1, which may pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reader {
    Idle,
    /// Has found the gate open.
    Looked {
        acked: u8,
        epoch: u8,
        process: u8,
    },
    /// In the wrong order: has the value, and has not looked at the gate.
    Got {
        acked: u8,
        version: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fill {
    Idle,
    Leased { process: u8, epoch: u8 },
    Selected { process: u8, epoch: u8, version: u8 },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    row: u8,
    acked: u8,
    /// `cache_pending`, a bit per writer.
    pending: u8,
    serves_until: [u8; 2],
    epochs: Epochs,
    /// Ticks until the last epoch is in force.
    young: u8,
    processes: [Process; 3],
    primary: u8,
    /// Which process each instance is connected to.
    links: [Option<u8>; 2],
    gates: [Gate; 2],
    drains: [Drain; 2],
    writers: [Writer; 2],
    reader: Reader,
    fills: [Fill; 2],
    left: Faults,
    /// Whether a new epoch may still be recorded for want of patience.
    impatient: bool,
}

impl State {
    fn process(&self, number: u8) -> Process {
        self.processes[usize::from(number)]
    }

    fn process_mut(&mut self, number: u8) -> &mut Process {
        &mut self.processes[usize::from(number)]
    }

    fn acknowledge(&mut self, writer: usize, version: u8) {
        self.acked = self.acked.max(version);
        self.writers[writer] = Writer::Done;
    }
}

impl Rules {
    fn is_open(&self, state: &State, instance: usize) -> bool {
        let gate = state.gates[instance];
        let recorded =
            |process| self.record == Record::Nothing || state.epochs.of(gate.epoch) == process;
        gate.left > 0 && state.links[instance].is_some_and(recorded)
    }

    /// The value at a process, if it carries the stamp of the epoch.
    fn good(&self, state: &State, process: u8, epoch: u8) -> Option<u8> {
        let value = state.process(process).value?;
        (!self.stamped || value.epoch == epoch).then_some(value.version)
    }

    fn served(&self) -> u8 {
        G + self.margin
    }

    /// A writer waits for longer than it may, or for ever.
    fn waits_too_long(&self, state: &State) -> bool {
        state.writers.iter().enumerate().any(|(me, writer)| {
            let Writer::Waiting { left, .. } = *writer else {
                return false;
            };
            let nobody_drains = self.ack == Ack::WhenDrained && state.links == [None, None];
            left > self.served() || (nobody_drains && state.pending & 1 << me != 0)
        })
    }

    /// Instance 1, if it is connected to the primary and left alone, opens its gate within two `G`.
    fn serves_again(&self, state: &State) -> bool {
        if state.links[1] != Some(state.primary) {
            return true;
        }
        let mut state = state.clone();
        for _ in 0..=2 * G {
            for _ in 0..8 {
                let gate = state.gates[1];
                let last = state.epochs.last();
                if gate.left > 0
                    && gate.epoch == last
                    && Some(state.epochs.of(last)) == state.links[1]
                {
                    return true;
                }
                let Some(next) = Steps::first(|steps| self.drain(&state, 1, u8::MAX, steps)) else {
                    break;
                };
                state = next;
            }
            state.tick(None);
        }
        false
    }
}

impl Model for Rules {
    type State = State;

    fn start(&self) -> State {
        let open = Gate { left: G, epoch: 0 };
        let served = self.served();
        State {
            row: 0,
            acked: 0,
            pending: 0,
            serves_until: [served, if self.fresh { 0 } else { served }],
            epochs: Epochs {
                process: [0; 8],
                count: 1,
            },
            young: 0,
            processes: [OLD, EMPTY, EMPTY],
            primary: 0,
            links: [Some(0); 2],
            gates: [open, if self.fresh { SHUT } else { open }],
            drains: [Drain::Idle; 2],
            writers: [Writer::Idle; 2],
            reader: Reader::Idle,
            fills: [Fill::Idle; 2],
            left: self.faults,
            impatient: self.new_epoch != NewEpoch::Never,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        instances::time(state, steps);
        self.fail(state, steps);
        for instance in INSTANCES {
            self.drain(state, instance, EPOCHS, steps);
        }
        for (writer, home) in self.writers.iter().enumerate() {
            self.write(state, writer, *home, steps);
        }
        self.read(state, steps);
        for filler in self.fillers {
            self.fill(state, *filler, steps);
        }
    }

    fn broken(&self, state: &State) -> Option<Broken> {
        if self.waits_too_long(state) {
            Some(Broken::WaitsTooLong)
        } else {
            (self.live && !self.serves_again(state)).then_some(Broken::NeverServesAgain)
        }
    }
}
