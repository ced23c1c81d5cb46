//! Reads and fills of the model.

use super::super::search::Broken;
use super::{Doing, Lease, Protocol, READS, Reader, Rules, Sharing, State, Steps};

impl Rules {
    pub(super) fn read(&self, state: &State, me: usize, steps: &mut Steps<State>) {
        let reader = state.readers[me];
        match reader.doing {
            Doing::Nothing if reader.reads < READS => {
                steps.step(
                    || format!("R{me} begins"),
                    state,
                    |s| {
                        let returned = s.acked.max(s.returned);
                        s.readers[me].doing = Doing::LookingUp;
                        s.readers[me].acked = s.acked;
                        s.readers[me].returned = returned;
                    },
                );
            }
            Doing::Nothing => {}
            Doing::LookingUp => self.look_up(state, me, steps),
            Doing::Reading(token) => {
                let row = state.row;
                steps.step(
                    || format!("R{me} reads v{row} in the database"),
                    state,
                    |s| s.readers[me].doing = Doing::Read(token, row),
                );
            }
            Doing::Read(token, version) => {
                let may = self.may_fill(state, token, version);
                finish(
                    state,
                    me,
                    version,
                    || {
                        format!(
                            "R{me} returns v{version}, fill {}",
                            if may { "done" } else { "refused" }
                        )
                    },
                    |s| {
                        if may {
                            s.value = Some(version);
                            if token.is_some() {
                                s.lease = Lease::Free;
                            }
                        }
                    },
                    steps,
                );
            }
            Doing::Joined(_, Some(version)) => {
                finish(
                    state,
                    me,
                    version,
                    || format!("R{me} returns the shared v{version}"),
                    |_| {},
                    steps,
                );
            }
            Doing::Joined(other, None) => match state.readers[usize::from(other)].doing {
                Doing::Read(_, version) => steps.step(
                    || format!("R{me} gets v{version} of R{other}"),
                    state,
                    |s| s.readers[me].doing = Doing::Joined(other, Some(version)),
                ),
                Doing::Nothing => steps.step(
                    || format!("R{me} begins again"),
                    state,
                    |s| s.readers[me].doing = Doing::LookingUp,
                ),
                Doing::LookingUp | Doing::Reading(_) | Doing::Joined(..) => {}
            },
        }
    }

    fn has_leases(&self) -> bool {
        matches!(self.protocol, Protocol::LeaseAndDelete | Protocol::Fence)
    }

    fn look_up(&self, state: &State, me: usize, steps: &mut Steps<State>) {
        if let Some(value) = state.value {
            finish(
                state,
                me,
                value,
                || format!("R{me} hits v{value}"),
                |_| {},
                steps,
            );
            return;
        }
        let token = (self.has_leases() && state.lease == Lease::Free).then_some(state.next_token);
        steps.step(
            || format!("R{me} misses, lease {token:?}"),
            state,
            |s| {
                s.readers[me].doing = Doing::Reading(token);
                if let Some(token) = token {
                    s.lease = Lease::Reader(token);
                    s.next_token += 1;
                }
            },
        );
        for (number, other) in (0..).zip(&state.readers) {
            let joinable = match self.sharing {
                Sharing::None => false,
                Sharing::BeforeSelect => matches!(other.doing, Doing::Reading(_)),
                Sharing::AnyTime => matches!(other.doing, Doing::Reading(_) | Doing::Read(..)),
            };
            if usize::from(number) != me && joinable {
                steps.step(
                    || format!("R{me} misses, joins R{number}"),
                    state,
                    |s| s.readers[me].doing = Doing::Joined(number, None),
                );
            }
        }
    }

    fn may_fill(&self, state: &State, token: Option<u8>, version: u8) -> bool {
        match self.protocol {
            Protocol::DeleteAfterCommit | Protocol::DoubleDelete | Protocol::SetAfterCommit => true,
            Protocol::Tombstone => {
                version >= state.tombstone && state.value.is_none_or(|value| version >= value)
            }
            Protocol::LeaseAndDelete | Protocol::Fence => {
                token.is_some_and(|token| state.lease == Lease::Reader(token))
            }
        }
    }
}

/// Ends a read with this version.
fn finish(
    state: &State,
    me: usize,
    version: u8,
    name: impl FnOnce() -> String,
    change: impl FnOnce(&mut State),
    steps: &mut Steps<State>,
) {
    let reader = state.readers[me];
    let broken = if version < reader.acked {
        Some(Broken::StaleAfterAck)
    } else {
        (version < reader.returned).then_some(Broken::NewThenOld)
    };
    steps.step_that_breaks(broken, name, state, |s| {
        change(s);
        s.returned = s.returned.max(version);
        s.readers[me] = Reader {
            doing: Doing::Nothing,
            reads: reader.reads + 1,
            acked: 0,
            returned: 0,
        };
    });
}
