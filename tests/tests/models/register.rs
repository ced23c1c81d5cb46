//! Registration: an instance that writes without a cache and registers, and an instance that serves from its memory
//! while it is alone. Time is a set of countdowns, and any step may take any number of ticks, so either instance may
//! stop for any time.

use super::search::{Broken, Expect, HOLDS, Model, Steps, check_all};

/// How long an instance serves after it has renewed its gate, in ticks.
const GATE_TTL: u8 = 2;
/// How long a registration is valid, in ticks.
const ALIVE: u8 = 3;
const WRITES: u8 = 2;

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that can be switched off"
)]
struct Rules {
    /// The memory instance renews before it looks for other registrations.
    renews_first: bool,
    /// The writer reads the gate of the memory instance twice.
    second_check: bool,
    /// The writer waits until the gate that it saw has expired.
    waits: bool,
    /// Also when its registration had expired, not only at its start.
    after_gaps: bool,
    /// A write checks the registration again before it is acknowledged.
    checks_at_ack: bool,
}

const RULES: Rules = Rules {
    renews_first: true,
    second_check: true,
    waits: true,
    after_gaps: true,
    checks_at_ack: true,
};

/// A pass of the memory instance, with the remaining time of the gate that it would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pass {
    Idle,
    Renewed(u8),
    /// Has found no other registration.
    Alone(u8),
}

/// A registration of the writer. Each of its statements sees the database as it was before its own commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Registering {
    Idle,
    /// The first statement runs, and has read the gate of the memory instance; with the remaining validity of the
    /// registration.
    First(u8, u8),
    /// The first statement is committed, and a second one follows.
    Between(u8),
    Second(u8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Write {
    Idle,
    /// The registration was valid when the commit was sent.
    Sent,
    /// Committed without a row.
    Committed,
    /// Committed with a row, with the remaining time of the gate that it saw.
    Row(Option<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    row: u8,
    acked: u8,
    pending: bool,
    /// The memory instance: its gate in the database, its own gate, and its value.
    serves: u8,
    gate: u8,
    value: Option<u8>,
    pass: Pass,
    /// The writer: its registration in the database and as it knows it, and its remaining wait.
    alive: u8,
    known: u8,
    wait: u8,
    started: bool,
    registering: Registering,
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
        match &mut self.registering {
            Registering::First(seen, left) | Registering::Second(seen, left) => {
                down(seen);
                down(left);
            }
            Registering::Between(left) => down(left),
            Registering::Idle => {}
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
                    s.pass = Pass::Renewed(GATE_TTL);
                    if self.renews_first {
                        s.serves = GATE_TTL;
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
                        s.serves = GATE_TTL;
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
            (s.started, s.registering) = (true, Registering::Idle);
            s.wait = if self.waits { seen } else { 0 };
        };
        match state.registering {
            Registering::Idle => steps.step(
                || format!("W begins to register, and reads {}", state.serves),
                state,
                |s| s.registering = Registering::First(s.serves, ALIVE),
            ),
            Registering::First(seen, left) => {
                let is_new = state.known == 0 && (self.after_gaps || !state.started);
                steps.step(
                    || format!("W is registered, as new: {is_new}"),
                    state,
                    |s| {
                        s.alive = s.alive.max(left);
                        if !is_new {
                            (s.known, s.registering) = (left, Registering::Idle);
                        } else if self.second_check {
                            s.registering = Registering::Between(left);
                        } else {
                            settle(s, seen, left);
                        }
                    },
                );
            }
            Registering::Between(left) => steps.step(
                || format!("W checks again, and reads {}", state.serves),
                state,
                |s| s.registering = Registering::Second(s.serves, left),
            ),
            Registering::Second(seen, left) => steps.step(
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
            Write::Committed if self.checks_at_ack && !state.registered() => steps.step(
                || "W is not registered any more, and adds a row".to_owned(),
                state,
                |s| (s.pending, s.write) = (true, Write::Row(None)),
            ),
            Write::Committed => steps.step(|| "W acknowledges".to_owned(), state, acknowledge),
            Write::Row(None) => steps.step(
                || format!("W reads the gate of M: {}", state.serves),
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
            registering: Registering::Idle,
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
fn a_memory_instance_sees_a_registered_writer() {
    check_all(&[("all rules", RULES, HOLDS)]);
}

#[test]
fn each_rule_of_registration_is_needed() {
    const STALE: Expect = Expect::Breaks(Broken::StaleAfterAck);
    let looks_first = Rules {
        renews_first: false,
        ..RULES
    };
    let one_check = Rules {
        second_check: false,
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
    let no_check_at_ack = Rules {
        checks_at_ack: false,
        ..RULES
    };
    check_all(&[
        ("M renews after it looked for others", looks_first, STALE),
        ("one check", one_check, STALE),
        ("no wait", no_wait, STALE),
        (
            "no wait after an expired registration",
            at_start_only,
            STALE,
        ),
        (
            "no check before the acknowledgement",
            no_check_at_ack,
            STALE,
        ),
    ]);
}
