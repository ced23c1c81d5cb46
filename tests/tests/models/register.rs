//! REGISTER: an instance that writes without a cache that the other knows, and an instance that serves from its memory while it is
//! alone. Time is a set of countdowns, and any step may take any number of ticks, so either may stop for as long as it likes.

use super::search::{Broken, Expect, HOLDS, Model, Steps, check_all};

/// How long an instance serves after it has renewed its right to, in ticks.
const G: u8 = 2;
/// How long an instance counts as alive after it has registered.
const ALIVE: u8 = 3;
const WRITES: u8 = 2;

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that is there or not"
)]
struct Rules {
    /// The instance in memory renews before it looks for others.
    renews_first: bool,
    /// The writer looks twice.
    second_look: bool,
    /// It waits until the right that it saw has ended.
    waits: bool,
    /// Also after a gap, not only at its start.
    after_gaps: bool,
    /// A write looks at the registration once more before it is acknowledged.
    looks_at_ack: bool,
}

const RULES: Rules = Rules {
    renews_first: true,
    second_look: true,
    waits: true,
    after_gaps: true,
    looks_at_ack: true,
};

/// A pass of the instance in memory, with what is left of the gate that it would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pass {
    Idle,
    Renewed(u8),
    /// It has found itself alone.
    Alone(u8),
}

/// A registration of the writer. Each of its statements sees the database as it was before its own commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    Idle,
    /// The first statement runs, and has seen the right of the instance in memory; what is left of the time for which the
    /// registration counts.
    First(u8, u8),
    /// The first statement is committed, and a second one follows.
    Between(u8),
    Second(u8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Write {
    Idle,
    /// The registration held when the commit was sent.
    Sent,
    /// Without a row.
    Committed,
    /// With a row, and so much is left of the right that was seen.
    Row(Option<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    row: u8,
    acked: u8,
    pending: bool,
    /// Of the instance in memory: its right in the database, its gate and its value.
    serves: u8,
    gate: u8,
    value: Option<u8>,
    pass: Pass,
    /// Of the writer: its registration in the database and as it knows it, and what it waits for.
    alive: u8,
    known: u8,
    wait: u8,
    started: bool,
    look: Look,
    write: Write,
}

impl State {
    fn registered(&self) -> bool {
        self.known > 0 && self.wait == 0
    }

    fn tick(&mut self) {
        let down = |count: &mut u8| *count = count.saturating_sub(1);
        for count in [
            &mut self.serves,
            &mut self.gate,
            &mut self.alive,
            &mut self.known,
            &mut self.wait,
        ] {
            down(count);
        }
        match &mut self.pass {
            Pass::Renewed(left) | Pass::Alone(left) => down(left),
            Pass::Idle => {}
        }
        match &mut self.look {
            Look::First(seen, left) | Look::Second(seen, left) => {
                down(seen);
                down(left);
            }
            Look::Between(left) => down(left),
            Look::Idle => {}
        }
        if let Write::Row(Some(left)) = &mut self.write {
            down(left);
        }
    }
}

impl Rules {
    fn memory(self, state: &State, steps: &mut Steps<State>) {
        match state.pass {
            Pass::Idle => steps.step(
                || "M begins a pass".to_owned(),
                state,
                |s| {
                    s.pass = Pass::Renewed(G);
                    if self.renews_first {
                        s.serves = G;
                    }
                },
            ),
            Pass::Renewed(left) => steps.step(
                || format!("M looks for others: {}", state.alive > 0),
                state,
                |s| {
                    if s.alive > 0 {
                        (s.gate, s.pass) = (0, Pass::Idle);
                    } else {
                        s.pass = Pass::Alone(left);
                    }
                },
            ),
            Pass::Alone(left) => steps.step(
                || "M releases rows and opens".to_owned(),
                state,
                |s| {
                    if s.gate == 0 || s.pending {
                        s.value = None;
                    }
                    (s.pending, s.gate, s.pass) = (false, left, Pass::Idle);
                    if !self.renews_first {
                        s.serves = G;
                    }
                },
            ),
        }
        if state.gate > 0 && state.value.is_none() {
            steps.step(
                || format!("M fills v{}", state.row),
                state,
                |s| s.value = Some(s.row),
            );
        }
    }

    fn register(self, state: &State, steps: &mut Steps<State>) {
        let settle = |s: &mut State, seen: u8, left: u8| {
            (s.alive, s.known) = (s.alive.max(left), left);
            (s.started, s.look) = (true, Look::Idle);
            s.wait = if self.waits { seen } else { 0 };
        };
        match state.look {
            Look::Idle => steps.step(
                || format!("W begins to register, and sees {}", state.serves),
                state,
                |s| s.look = Look::First(s.serves, ALIVE),
            ),
            Look::First(seen, left) => {
                let is_new = state.known == 0 && (self.after_gaps || !state.started);
                steps.step(
                    || format!("W is registered, as new: {is_new}"),
                    state,
                    |s| {
                        s.alive = s.alive.max(left);
                        if !is_new {
                            (s.known, s.look) = (left, Look::Idle);
                        } else if self.second_look {
                            s.look = Look::Between(left);
                        } else {
                            settle(s, seen, left);
                        }
                    },
                );
            }
            Look::Between(left) => steps.step(
                || format!("W looks again, and sees {}", state.serves),
                state,
                |s| s.look = Look::Second(s.serves, left),
            ),
            Look::Second(seen, left) => steps.step(
                || "W is registered again".to_owned(),
                state,
                |s| settle(s, seen, left),
            ),
        }
    }

    fn write(self, state: &State, steps: &mut Steps<State>) {
        let acknowledge = |s: &mut State| (s.acked, s.write) = (s.row, Write::Idle);
        match state.write {
            Write::Idle if state.row < WRITES && state.registered() => {
                steps.step(
                    || "W sends a commit".to_owned(),
                    state,
                    |s| s.write = Write::Sent,
                );
            }
            Write::Sent => steps.step(
                || "W commits".to_owned(),
                state,
                |s| (s.row, s.write) = (s.row + 1, Write::Committed),
            ),
            Write::Idle if state.row < WRITES => steps.step(
                || "W commits with a row".to_owned(),
                state,
                |s| (s.row, s.pending, s.write) = (s.row + 1, true, Write::Row(None)),
            ),
            Write::Committed if self.looks_at_ack && !state.registered() => steps.step(
                || "W is not registered any more, and adds a row".to_owned(),
                state,
                |s| (s.pending, s.write) = (true, Write::Row(None)),
            ),
            Write::Committed => steps.step(|| "W acknowledges".to_owned(), state, acknowledge),
            Write::Row(None) => steps.step(
                || format!("W reads the right of M: {}", state.serves),
                state,
                |s| s.write = Write::Row(Some(s.serves)),
            ),
            Write::Row(Some(left)) if left == 0 || !state.pending => {
                steps.step(|| "W acknowledges its row".to_owned(), state, acknowledge);
            }
            Write::Idle | Write::Row(Some(_)) => {}
        }
    }
}

impl Model for Rules {
    type State = State;

    fn start(&self) -> State {
        State {
            row: 0,
            acked: 0,
            pending: false,
            serves: 0,
            gate: 0,
            value: None,
            pass: Pass::Idle,
            alive: 0,
            known: 0,
            wait: 0,
            started: false,
            look: Look::Idle,
            write: Write::Idle,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        self.memory(state, steps);
        self.register(state, steps);
        self.write(state, steps);
        steps.step(|| "tick".to_owned(), state, State::tick);
    }

    fn broken(&self, state: &State) -> Option<Broken> {
        let shown = state.value.filter(|_| state.gate > 0);
        shown
            .filter(|version| *version < state.acked)
            .map(|_| Broken::StaleAfterAck)
    }
}

#[test]
fn a_registered_writer_is_seen_by_an_instance_in_memory() {
    check_all(&[("all rules", RULES, HOLDS)]);
}

#[test]
fn each_rule_of_registration_is_needed() {
    const STALE: Expect = Expect::Breaks(Broken::StaleAfterAck);
    let looks_first = Rules {
        renews_first: false,
        ..RULES
    };
    let one_look = Rules {
        second_look: false,
        ..RULES
    };
    let no_wait = Rules {
        waits: false,
        ..RULES
    };
    let at_start_only = Rules {
        after_gaps: false,
        ..RULES
    };
    let no_look_at_ack = Rules {
        looks_at_ack: false,
        ..RULES
    };
    check_all(&[
        ("M renews after it looked", looks_first, STALE),
        ("one look", one_look, STALE),
        ("no wait", no_wait, STALE),
        ("a gap counts for nothing", at_start_only, STALE),
        ("no look before the acknowledgement", no_look_at_ack, STALE),
    ]);
}
