//! The steps of a writer.

use super::{Lease, Lock, Protocol, Rules, State, Steps, Writer};

impl Rules {
    pub(super) fn write(&self, state: &State, me: usize, steps: &mut Steps<State>) {
        let committed = state.row + 1;
        let commit = move || format!("W{me} commits v{committed}");
        match state.writers[me] {
            Writer::Idle if self.protocol == Protocol::Fence => self.begin(state, me, steps),
            Writer::Idle if self.protocol == Protocol::DoubleDelete => {
                steps.step(
                    || format!("W{me} deletes"),
                    state,
                    |s| {
                        s.writers[me] = Writer::Deleted;
                        s.value = None;
                    },
                );
            }
            Writer::Idle | Writer::Deleted | Writer::Fenced => {
                steps.step(commit, state, |s| s.commit(me, Writer::Committed));
            }
            Writer::Locked => {
                steps.step(
                    || format!("W{me} fences"),
                    state,
                    |s| self.fence(s, me, Writer::Fenced),
                );
                disconnect(state, me, steps);
            }
            Writer::Waiting if !state.is_locked() => {
                steps.step(
                    || format!("W{me} locks"),
                    state,
                    |s| s.writers[me] = Writer::Fenced,
                );
            }
            Writer::Degraded => {
                steps.step(commit, state, |s| s.commit(me, Writer::DegradedCommitted));
            }
            Writer::DegradedCommitted(version) => {
                steps.step(
                    || format!("W{me} is reconciled"),
                    state,
                    |s| reconcile(s, me, Writer::Released(version)),
                );
                if !self.ack_when_reconciled {
                    steps.step(
                        || format!("W{me} is acknowledged, not reconciled"),
                        state,
                        |s| {
                            s.writers[me] = Writer::Unreconciled;
                            s.acked = s.acked.max(version);
                        },
                    );
                }
            }
            Writer::Unreconciled => {
                steps.step(
                    || format!("W{me} is reconciled"),
                    state,
                    |s| reconcile(s, me, Writer::Done),
                );
            }
            Writer::Committed(version) => self.invalidate(state, me, version, steps),
            Writer::Released(version) => {
                steps.step(
                    || format!("W{me} is acknowledged, v{version}"),
                    state,
                    |s| {
                        s.writers[me] = Writer::Done;
                        s.acked = s.acked.max(version);
                    },
                );
            }
            Writer::Waiting | Writer::Done | Writer::Dead => {}
        }
    }

    fn begin(&self, state: &State, me: usize, steps: &mut Steps<State>) {
        match self.lock {
            Lock::BeforeFence => {
                if !state.is_locked() {
                    steps.step(
                        || format!("W{me} locks"),
                        state,
                        |s| s.writers[me] = Writer::Locked,
                    );
                }
            }
            Lock::AfterFence => {
                steps.step(
                    || format!("W{me} fences"),
                    state,
                    |s| self.fence(s, me, Writer::Waiting),
                );
                if !state.is_locked() {
                    disconnect(state, me, steps);
                }
            }
            Lock::Never => {
                steps.step(
                    || format!("W{me} fences"),
                    state,
                    |s| self.fence(s, me, Writer::Fenced),
                );
                disconnect(state, me, steps);
            }
        }
    }

    fn fence(&self, state: &mut State, me: usize, then: Writer) {
        let others = match state.lease {
            Lease::Writers(set) if self.token_set => set,
            Lease::Writers(_) | Lease::Free | Lease::Reader(_) => 0,
        };
        state.lease = Lease::Writers(others | 1 << me);
        state.value = None;
        state.writers[me] = then;
    }

    fn invalidate(&self, state: &State, me: usize, version: u8, steps: &mut Steps<State>) {
        steps.step(
            || format!("W{me} invalidates for v{version}"),
            state,
            |s| {
                s.writers[me] = Writer::Released(version);
                match self.protocol {
                    Protocol::DeleteAfterCommit | Protocol::DoubleDelete => s.value = None,
                    Protocol::SetAfterCommit => s.value = Some(version),
                    Protocol::Tombstone => {
                        s.tombstone = s.tombstone.max(version);
                        s.value = s.value.filter(|value| *value >= version);
                    }
                    Protocol::LeaseAndDelete => (s.value, s.lease) = (None, Lease::Free),
                    Protocol::Fence => {
                        s.value = None;
                        // Another writer's fence stays, with its own token or unchanged.
                        s.lease = if s.lease.has(me) {
                            s.lease.without(me)
                        } else {
                            s.lease.of_writers()
                        };
                    }
                }
            },
        );
        if state.left.disconnects > 0 && self.protocol != Protocol::Fence {
            steps.step(
                || format!("W{me} does not reach Redis"),
                state,
                |s| {
                    s.writers[me] = Writer::Released(version);
                    s.left.disconnects -= 1;
                },
            );
        }
    }
}

fn reconcile(state: &mut State, me: usize, then: Writer) {
    state.value = None;
    state.lease = state.lease.of_writers();
    state.writers[me] = then;
}

fn disconnect(state: &State, me: usize, steps: &mut Steps<State>) {
    if state.left.disconnects > 0 {
        steps.step(
            || format!("W{me} does not reach Redis"),
            state,
            |s| {
                s.writers[me] = Writer::Degraded;
                s.left.disconnects -= 1;
            },
        );
    }
}
