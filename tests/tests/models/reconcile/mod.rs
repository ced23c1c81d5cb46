//! Degraded writes, reconciliation passes, gates and epochs: two instances, optionally a writer without Redis, one key
//! and one Postgres (a commit is one event, each read another). An instance may lose Redis; Redis may fail over to
//! another process with empty, old or current data, and the old process may continue to answer its connections.
//!
//! Time is a set of countdowns that one event decrements. So it is unbounded, and any step may take any number of
//! ticks.

mod clients;
mod instances;
mod rows;

use super::search::{Broken, Model, Steps};

/// How long a gate stays open, in ticks.
const GATE_TTL: u8 = 2;
/// Maximum number of recorded epochs, which bounds the search.
const EPOCHS: u8 = 3;
const INSTANCES: [usize; 2] = [0, 1];

/// The instance of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Location {
    On(usize),
    /// An instance without Redis.
    Off,
}

/// Order of the transactions of a reconciliation pass.
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
    WhenReconciled,
    /// The same, or when every instance that may not have seen its row has stopped serving.
    WhenReconciledOrExpired,
}

/// Record of the Redis process that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    Nothing,
    WithoutWait,
    /// After the record no instance serves for `GATE_TTL`.
    AndWait,
}

/// When a writer checks its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GateCheck {
    Never,
    AtFence,
    AtFenceAndAck,
}

/// The pending rows when a new epoch is recorded because there are too many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewEpoch {
    Never,
    KeepsRows,
    DeletesRows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Faults {
    /// Lost connections to Redis.
    disconnects: u8,
    failovers: u8,
    /// Lost fences.
    losses: u8,
    /// Ticks that the clock of one instance misses.
    slow_ticks: u8,
    /// Fences and releases that fail although Redis is connected.
    failures: u8,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that can be switched off"
)]
struct Rules {
    writers: &'static [Location],
    /// Instances that fill.
    fillers: &'static [usize],
    order: Order,
    ack: Ack,
    /// A degraded writer also waits for its own instance.
    waits_for_own: bool,
    /// A degraded writer reads `serves_until` after its commit.
    waits_from_commit: bool,
    /// A pass deletes the rows that it read; otherwise all rows of their keys.
    deletes_rows_read: bool,
    /// A pass deletes rows only under its epoch.
    delete_checks_epoch: bool,
    /// The gate is counted from the beginning of the pass.
    gate_from_begin: bool,
    /// A read checks the gate before it reads Redis.
    read_checks_gate_first: bool,
    fill_checks_gate: bool,
    writer_checks_gate: GateCheck,
    record: Record,
    stamped: bool,
    /// Added to `serves_until`.
    margin: u8,
    /// `serves_until` is by the database's clock; otherwise instance 1 is a tick behind.
    database_clock: bool,
    /// Instance 1 is new.
    fresh: bool,
    /// A new instance completes a pass before it serves.
    reconciles_first: bool,
    /// After a failed release the writer writes its rows, and waits for them.
    failed_release_writes_rows: bool,
    new_epoch: NewEpoch,
    faults: Faults,
    /// After a failover the old process continues to answer.
    split: bool,
    /// A failover leads back to the previous process.
    back: bool,
    /// Checks that an instance serves again.
    live: bool,
}

const RULES: Rules = Rules {
    writers: &[Location::On(0), Location::Off],
    fillers: &[1],
    order: Order::RenewThenRead,
    ack: Ack::WhenReconciledOrExpired,
    waits_for_own: true,
    waits_from_commit: true,
    deletes_rows_read: true,
    delete_checks_epoch: true,
    gate_from_begin: true,
    read_checks_gate_first: true,
    fill_checks_gate: true,
    writer_checks_gate: GateCheck::AtFenceAndAck,
    record: Record::AndWait,
    stamped: true,
    margin: 0,
    database_clock: true,
    fresh: false,
    reconciles_first: true,
    failed_release_writes_rows: true,
    new_epoch: NewEpoch::Never,
    faults: Faults {
        disconnects: 1,
        failovers: 0,
        losses: 0,
        slow_ticks: 0,
        failures: 0,
    },
    split: false,
    back: false,
    live: false,
};

/// The recorded processes, by epoch.
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
enum Pass {
    Idle,
    /// Wrong order: it has read rows, and has not renewed.
    ReadFirst(Gate, u8),
    /// Has committed `serves_until`; its gate, if the pass succeeds, is this.
    Renewed(Gate),
    /// Has read these rows, a bit per writer.
    Read(Gate, u8),
    /// Has released the keys of the rows.
    Released(Gate, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    /// Wrong order: it knows how long it will wait, and has not committed.
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
    /// The release failed; its rows are not written yet.
    NotReleased(u8),
    /// The rows are committed.
    RowsWritten(u8),
    Waiting {
        version: u8,
        left: u8,
    },
    Done,
}

/// A reader at instance 1, which may pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reader {
    Idle,
    /// Has found the gate open.
    Checked {
        acked: u8,
        epoch: u8,
        process: u8,
    },
    /// Wrong order: it has the value, and has not checked the gate.
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
    /// The process that each instance is connected to.
    links: [Option<u8>; 2],
    gates: [Gate; 2],
    passes: [Pass; 2],
    writers: [Writer; 2],
    reader: Reader,
    fills: [Fill; 2],
    left: Faults,
    /// Whether a new epoch may still be recorded because of too many rows.
    may_replace_epoch: bool,
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

    /// The value at a process, if it has the stamp of the epoch.
    fn good(&self, state: &State, process: u8, epoch: u8) -> Option<u8> {
        let value = state.process(process).value?;
        (!self.stamped || value.epoch == epoch).then_some(value.version)
    }

    fn served(&self) -> u8 {
        GATE_TTL + self.margin
    }

    /// Whether a writer waits for longer than it may, or for ever.
    fn waits_too_long(&self, state: &State) -> bool {
        state.writers.iter().enumerate().any(|(me, writer)| {
            let Writer::Waiting { left, .. } = *writer else {
                return false;
            };
            let no_pass = self.ack == Ack::WhenReconciled && state.links == [None, None];
            left > self.served() || (no_pass && state.pending & 1 << me != 0)
        })
    }

    /// Whether instance 1, if it is connected to the primary and undisturbed, opens its gate within two `GATE_TTL`.
    fn serves_again(&self, state: &State) -> bool {
        if state.links[1] != Some(state.primary) {
            return true;
        }
        let mut state = state.clone();
        for _ in 0..=2 * GATE_TTL {
            for _ in 0..8 {
                let gate = state.gates[1];
                let last = state.epochs.last();
                if gate.left > 0
                    && gate.epoch == last
                    && Some(state.epochs.of(last)) == state.links[1]
                {
                    return true;
                }
                let Some(next) = Steps::first(|steps| self.reconcile(&state, 1, u8::MAX, steps))
                else {
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
        let open = Gate {
            left: GATE_TTL,
            epoch: 0,
        };
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
            passes: [Pass::Idle; 2],
            writers: [Writer::Idle; 2],
            reader: Reader::Idle,
            fills: [Fill::Idle; 2],
            left: self.faults,
            may_replace_epoch: self.new_epoch != NewEpoch::Never,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        instances::time(state, steps);
        self.fail(state, steps);
        for instance in INSTANCES {
            self.reconcile(state, instance, EPOCHS, steps);
        }
        for (writer, location) in self.writers.iter().enumerate() {
            self.write(state, writer, *location, steps);
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
