//! Time, faults, and reconciliation passes.

use super::{
    EMPTY, GATE_TTL, Gate, INSTANCES, Lease, NewEpoch, OLD, Order, Pass, Record, Rules, SHUT,
};
use super::{State, Steps, Writer};

impl State {
    /// One tick, which the clock of one instance may miss.
    pub(super) fn tick(&mut self, late: Option<usize>) {
        let down = |count: &mut u8| *count = count.saturating_sub(1);
        self.serves_until.iter_mut().for_each(down);
        down(&mut self.young);
        for instance in INSTANCES.into_iter().filter(|i| Some(*i) != late) {
            down(&mut self.gates[instance].left);
            match &mut self.passes[instance] {
                Pass::Idle => {}
                Pass::ReadFirst(gate, _)
                | Pass::Renewed(gate)
                | Pass::Read(gate, _)
                | Pass::Released(gate, _) => down(&mut gate.left),
            }
        }
        for gate in &mut self.gates {
            if gate.left == 0 {
                *gate = SHUT;
            }
        }
        for writer in &mut self.writers {
            if let Writer::Waiting { left, .. } = writer {
                down(left);
            }
        }
    }
}

impl Rules {
    pub(super) fn fail(&self, state: &State, steps: &mut Steps<State>) {
        let primary = state.primary;
        for instance in INSTANCES {
            let link = state.links[instance];
            if state.left.disconnects > 0 && link.is_some() {
                steps.step(
                    || format!("I{instance} loses Redis"),
                    state,
                    |s| {
                        s.links[instance] = None;
                        s.left.disconnects -= 1;
                    },
                );
            }
            if link.is_none() || (self.split && link != Some(primary)) {
                steps.step(
                    || format!("I{instance} connects to process {primary}"),
                    state,
                    |s| s.links[instance] = Some(primary),
                );
            }
        }
        if state.left.failovers > 0 {
            let current = state.process(primary);
            for (what, data) in [("empty", EMPTY), ("old", OLD), ("current", current)] {
                let next = if self.back { 1 - primary } else { primary + 1 };
                steps.step(
                    || format!("failover to process {next}, {what}"),
                    state,
                    |s| {
                        *s.process_mut(next) = data;
                        s.primary = next;
                        s.left.failovers -= 1;
                        if !self.split {
                            s.links = [None; 2];
                        }
                    },
                );
            }
        }
        if state.left.losses > 0 {
            for (number, process) in state.processes.iter().enumerate() {
                if matches!(process.lease, Lease::Writers(_)) {
                    steps.step(
                        || format!("the fence at process {number} is lost"),
                        state,
                        |s| {
                            s.processes[number].lease = Lease::Free;
                            s.left.losses -= 1;
                        },
                    );
                }
            }
        }
    }

    /// The next step of an instance's reconciliation pass. At most this many epochs are recorded.
    pub(super) fn reconcile(&self, state: &State, me: usize, epochs: u8, steps: &mut Steps<State>) {
        let (last, link) = (state.epochs.last(), state.links[me]);
        let in_force = self.record == Record::Nothing
            || (state.young == 0 && Some(state.epochs.of(last)) == link);
        match state.passes[me] {
            Pass::Idle if in_force => self.begin(state, me, steps),
            Pass::Idle => {
                let unrecorded = link.filter(|process| *process != state.epochs.of(last));
                if let Some(process) = unrecorded.filter(|_| state.epochs.count < epochs) {
                    steps.step(
                        || format!("I{me} records process {process}"),
                        state,
                        |s| {
                            s.epochs.push(process);
                            s.young = match self.record {
                                Record::AndWait => self.served(),
                                Record::WithoutWait | Record::Nothing => 0,
                            };
                        },
                    );
                }
            }
            Pass::ReadFirst(gate, rows) => {
                if in_force && gate.epoch == last {
                    let served = self.served_by(me);
                    steps.step(
                        || format!("I{me} commits its renewal"),
                        state,
                        |s| {
                            s.serves_until[me] = served;
                            s.passes[me] = Pass::Read(gate, rows);
                        },
                    );
                } else {
                    give_up(state, me, steps);
                }
            }
            Pass::Renewed(gate) => self.renewed(state, me, gate, epochs, steps),
            Pass::Read(gate, 0) => self.end(state, me, gate, 0, steps),
            Pass::Read(gate, rows) => match link {
                Some(process)
                    if self.record == Record::Nothing || state.epochs.of(gate.epoch) == process =>
                {
                    steps.step(
                        || format!("I{me} releases the pending keys in Redis"),
                        state,
                        |s| {
                            let at = s.process_mut(process);
                            at.value = None;
                            at.lease = at.lease.without(rows);
                            s.passes[me] = Pass::Released(gate, rows);
                        },
                    );
                }
                Some(_) | None => give_up(state, me, steps),
            },
            Pass::Released(gate, _) if self.delete_checks_epoch && gate.epoch != last => {
                give_up(state, me, steps);
            }
            Pass::Released(gate, rows) => self.end(state, me, gate, rows, steps),
        }
    }

    fn begin(&self, state: &State, me: usize, steps: &mut Steps<State>) {
        if state.links[me].is_none() {
            return;
        }
        let gate = Gate {
            left: GATE_TTL,
            epoch: state.epochs.last(),
        };
        let served = self.served_by(me);
        let is_new = state.serves_until[me] == 0 && state.gates[me].left == 0;
        if self.fresh && !self.reconciles_first && is_new {
            steps.step(
                || format!("I{me} registers and serves at once"),
                state,
                |s| {
                    s.serves_until[me] = served;
                    s.gates[me] = gate;
                },
            );
        }
        match self.order {
            Order::RenewThenRead => steps.step(
                || format!("I{me} commits its renewal"),
                state,
                |s| {
                    s.serves_until[me] = served;
                    s.passes[me] = Pass::Renewed(gate);
                },
            ),
            // In one transaction the renewal becomes visible after the rows are read, which is equivalent.
            Order::ReadThenRenew | Order::OneTransaction => steps.step(
                || format!("I{me} reads the pending rows"),
                state,
                |s| s.passes[me] = Pass::ReadFirst(gate, s.pending),
            ),
        }
    }

    fn renewed(&self, state: &State, me: usize, gate: Gate, epochs: u8, steps: &mut Steps<State>) {
        if state.pending == 0 {
            self.end(state, me, gate, 0, steps);
            return;
        }
        steps.step(
            || format!("I{me} reads the pending rows"),
            state,
            |s| s.passes[me] = Pass::Read(gate, s.pending),
        );
        let last = state.epochs.last();
        if state.may_replace_epoch && gate.epoch == last && state.epochs.count < epochs {
            steps.step(
                || format!("I{me} finds too many rows and records a new epoch"),
                state,
                |s| {
                    s.epochs.push(s.epochs.of(last));
                    s.young = self.served();
                    s.passes[me] = Pass::Idle;
                    s.may_replace_epoch = false;
                    if self.new_epoch == NewEpoch::DeletesRows {
                        s.pending = 0;
                    }
                },
            );
        }
    }

    /// Ends the pass: deletes its rows and opens the gate.
    fn end(&self, state: &State, me: usize, gate: Gate, rows: u8, steps: &mut Steps<State>) {
        let rows = if self.deletes_rows_read || rows == 0 {
            rows
        } else {
            u8::MAX
        };
        let left = if self.gate_from_begin {
            gate.left
        } else {
            GATE_TTL
        };
        steps.step(
            || format!("I{me} deletes rows {rows:b} and opens its gate for {left}"),
            state,
            |s| {
                s.pending &= !rows;
                s.passes[me] = Pass::Idle;
                if left > 0 {
                    s.gates[me] = Gate { left, ..gate };
                }
            },
        );
    }

    fn served_by(&self, instance: usize) -> u8 {
        self.served() - u8::from(!self.database_clock && instance == 1)
    }
}

pub(super) fn time(state: &State, steps: &mut Steps<State>) {
    steps.step(|| "tick".to_owned(), state, |s| s.tick(None));
    if state.left.slow_ticks > 0 {
        for late in INSTANCES {
            steps.step(
                || format!("tick, which I{late}'s clock misses"),
                state,
                |s| {
                    s.tick(Some(late));
                    s.left.slow_ticks -= 1;
                },
            );
        }
    }
}

fn give_up(state: &State, me: usize, steps: &mut Steps<State>) {
    steps.step(
        || format!("I{me} gives up its pass"),
        state,
        |s| s.passes[me] = Pass::Idle,
    );
}
