//! Writers, readers and fills of the model.

use super::super::search::Broken;
use super::{
    Ack, Fill, GateCheck, INSTANCES, Lease, Location, Reader, Rules, State, Steps, Value, Writer,
};

impl Rules {
    pub(super) fn write(
        &self,
        state: &State,
        me: usize,
        location: Location,
        steps: &mut Steps<State>,
    ) {
        let link = match location {
            Location::On(instance) => state.links[instance],
            Location::Off => None,
        };
        match state.writers[me] {
            Writer::Idle => self.begin_write(state, me, location, steps),
            Writer::KnowsWait(left) => steps.step(
                || format!("W{me} commits with its row"),
                state,
                |s| {
                    s.row += 1;
                    s.pending |= 1 << me;
                    let version = s.row;
                    s.writers[me] = Writer::Waiting { version, left };
                },
            ),
            Writer::Fenced { process, epoch } => steps.step(
                || format!("W{me} commits"),
                state,
                |s| {
                    s.row += 1;
                    s.writers[me] = Writer::Committed {
                        version: s.row,
                        process,
                        epoch,
                    };
                },
            ),
            Writer::Committed {
                version,
                process,
                epoch,
            } => release(state, me, (version, process, epoch), link, steps),
            Writer::Released { version, epoch } => {
                let open = |instance| {
                    self.is_open(state, instance) && state.gates[instance].epoch == epoch
                };
                let checks_gate = self.writer_checks_gate == GateCheck::AtFenceAndAck;
                if !checks_gate || matches!(location, Location::On(instance) if open(instance)) {
                    acknowledge(state, me, version, "", steps);
                } else {
                    steps.step(
                        || format!("W{me} finds its gate shut"),
                        state,
                        |s| s.writers[me] = Writer::NotReleased(version),
                    );
                }
            }
            Writer::NotReleased(version) if self.failed_release_writes_rows => steps.step(
                || format!("W{me} commits its row after the failed release"),
                state,
                |s| {
                    s.pending |= 1 << me;
                    s.writers[me] = Writer::RowsWritten(version);
                },
            ),
            Writer::NotReleased(version) => {
                acknowledge(state, me, version, ", not released", steps);
            }
            Writer::RowsWritten(version) if self.ack == Ack::AtOnce => {
                acknowledge(state, me, version, " at once", steps);
            }
            Writer::RowsWritten(version) => {
                let left = self.longest(state, location);
                steps.step(
                    || format!("W{me} reads serves_until, {left}"),
                    state,
                    |s| s.writers[me] = Writer::Waiting { version, left },
                );
            }
            Writer::Waiting { version, left } => {
                if state.pending & 1 << me == 0 {
                    acknowledge(state, me, version, ", its row is deleted", steps);
                } else if left == 0 && self.ack == Ack::WhenReconciledOrExpired {
                    acknowledge(state, me, version, ", every gate has expired", steps);
                }
            }
            Writer::Done => {}
        }
    }

    fn begin_write(&self, state: &State, me: usize, location: Location, steps: &mut Steps<State>) {
        let reached = match location {
            Location::Off => None,
            Location::On(instance) => {
                let checks_gate = self.writer_checks_gate != GateCheck::Never;
                state.links[instance]
                    .filter(|_| !checks_gate || self.is_open(state, instance))
                    .map(|process| (process, state.gates[instance].epoch))
            }
        };
        if let Some((process, epoch)) = reached {
            steps.step(
                || format!("W{me} fences at process {process}"),
                state,
                |s| {
                    let at = s.process_mut(process);
                    let others = match at.lease {
                        Lease::Writers(set) => set,
                        Lease::Free | Lease::Reader(_) => 0,
                    };
                    at.lease = Lease::Writers(others | 1 << me);
                    at.value = None;
                    s.writers[me] = Writer::Fenced { process, epoch };
                },
            );
        }
        if reached.is_some() && state.left.failures == 0 {
            return;
        }
        let fewer = u8::from(reached.is_some());
        if self.waits_from_commit {
            steps.step(
                || format!("W{me} does not fence, and commits with its row"),
                state,
                |s| {
                    s.row += 1;
                    s.pending |= 1 << me;
                    s.writers[me] = Writer::RowsWritten(s.row);
                    s.left.failures -= fewer;
                },
            );
        } else {
            let left = self.longest(state, location);
            steps.step(
                || format!("W{me} reads serves_until, {left}, before its commit"),
                state,
                |s| {
                    s.writers[me] = Writer::KnowsWait(left);
                    s.left.failures -= fewer;
                },
            );
        }
    }

    /// How long an instance may still serve.
    fn longest(&self, state: &State, location: Location) -> u8 {
        INSTANCES
            .into_iter()
            .filter(|instance| self.waits_for_own || location != Location::On(*instance))
            .map(|instance| state.serves_until[instance])
            .max()
            .unwrap_or(0)
    }

    /// One reader at instance 0, which does not pause, and one at instance 1, which may.
    pub(super) fn read(&self, state: &State, steps: &mut Steps<State>) {
        let stale = |version: u8, acked: u8| (version < acked).then_some(Broken::StaleAfterAck);
        if let Some(process) = state.links[0]
            && self.is_open(state, 0)
            && let Some(version) = self.good(state, process, state.gates[0].epoch)
            && let Some(broken) = stale(version, state.acked)
        {
            let name = || format!("a read at I0 hits v{version}");
            steps.step_that_breaks(Some(broken), name, state, |_| {});
        }
        match state.reader {
            Reader::Idle => self.begin_read(state, steps),
            Reader::Checked {
                acked,
                epoch,
                process,
            } => {
                let good = self.good(state, process, epoch);
                let found = good.filter(|_| state.links[1] == Some(process));
                steps.step_that_breaks(
                    found.and_then(|version| stale(version, acked)),
                    || format!("the read at I1 finds {found:?}"),
                    state,
                    |s| s.reader = Reader::Idle,
                );
            }
            Reader::Got { acked, version } => {
                let open = self.is_open(state, 1);
                steps.step_that_breaks(
                    stale(version, acked).filter(|_| open),
                    || format!("the read at I1 finds the gate open: {open}"),
                    state,
                    |s| s.reader = Reader::Idle,
                );
            }
        }
    }

    fn begin_read(&self, state: &State, steps: &mut Steps<State>) {
        let Some(process) = state.links[1].filter(|_| state.acked > 0) else {
            return;
        };
        let acked = state.acked;
        if self.read_checks_gate_first {
            if self.is_open(state, 1) {
                let epoch = state.gates[1].epoch;
                steps.step(
                    || "a read at I1 finds the gate open".to_owned(),
                    state,
                    |s| {
                        s.reader = Reader::Checked {
                            acked,
                            epoch,
                            process,
                        };
                    },
                );
            }
        } else if let Some(version) = self.good(state, process, state.epochs.last()) {
            steps.step(
                || format!("a read at I1 gets v{version}"),
                state,
                |s| s.reader = Reader::Got { acked, version },
            );
        }
    }

    pub(super) fn fill(&self, state: &State, me: usize, steps: &mut Steps<State>) {
        let link = state.links[me];
        let mine = Lease::Reader(u8::from(me == 1));
        match state.fills[me] {
            Fill::Idle => {
                let epoch = if self.fill_checks_gate {
                    self.is_open(state, me).then_some(state.gates[me].epoch)
                } else {
                    (0..state.epochs.count)
                        .rev()
                        .find(|epoch| Some(state.epochs.of(*epoch)) == link)
                };
                let (Some(process), Some(epoch)) = (link, epoch) else {
                    return;
                };
                let fenced = matches!(state.process(process).lease, Lease::Writers(_));
                if !fenced && self.good(state, process, epoch).is_none() {
                    steps.step(
                        || format!("I{me} gets the lease at process {process}"),
                        state,
                        |s| {
                            let at = s.process_mut(process);
                            (at.value, at.lease) = (None, mine);
                            s.fills[me] = Fill::Leased { process, epoch };
                        },
                    );
                }
            }
            Fill::Leased { process, epoch } => steps.step(
                || format!("I{me} reads v{} in the database", state.row),
                state,
                |s| {
                    s.fills[me] = Fill::Selected {
                        process,
                        epoch,
                        version: s.row,
                    };
                },
            ),
            Fill::Selected {
                process,
                epoch,
                version,
            } => {
                let may = link == Some(process) && state.process(process).lease == mine;
                steps.step(
                    || format!("I{me} fills v{version}: {may}"),
                    state,
                    |s| {
                        s.fills[me] = Fill::Idle;
                        if may {
                            let at = s.process_mut(process);
                            at.value = Some(Value { version, epoch });
                            at.lease = Lease::Free;
                        }
                    },
                );
            }
        }
    }
}

/// Releases over a connection to the process of the fence.
fn release(
    state: &State,
    me: usize,
    (version, process, epoch): (u8, u8, u8),
    link: Option<u8>,
    steps: &mut Steps<State>,
) {
    let reached = link == Some(process);
    if reached {
        steps.step(
            || format!("W{me} releases at process {process}"),
            state,
            |s| {
                let at = s.process_mut(process);
                at.value = None;
                at.lease = at.lease.without(1 << me);
                s.writers[me] = Writer::Released { version, epoch };
            },
        );
    }
    if !reached || state.left.failures > 0 {
        steps.step(
            || format!("the release of W{me} fails"),
            state,
            |s| {
                s.writers[me] = Writer::NotReleased(version);
                s.left.failures -= u8::from(reached);
            },
        );
    }
}

fn acknowledge(state: &State, me: usize, version: u8, reason: &str, steps: &mut Steps<State>) {
    steps.step(
        || format!("W{me} is acknowledged, v{version}{reason}"),
        state,
        |s| s.acknowledge(me, version),
    );
}
