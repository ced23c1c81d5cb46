//! Values of a scope: a value carries the generation that was in force before its rows were read, and is a hit only
//! while that generation is in force. There are no leases and no common row, so any two writes may overlap.

use parlance_testkit::torture;

use super::search::{Broken, Expect, Model, Steps, check_all};

const WRITERS: usize = 2;
const READERS: usize = 2;
/// Reads of each reader, one after the other.
const READS: u8 = 2;

/// How a new generation is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// A token that was never used.
    Random,
    /// The last one plus one; the first again after an eviction.
    Counter,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that can be switched off"
)]
struct Rules {
    renewal: Renewal,
    /// A write rotates the generation before its commit.
    fence: bool,
    /// A write rotates the generation between its commit and its acknowledgement.
    release: bool,
    /// A reader reads the generation before it reads the rows, not after.
    before_rows: bool,
    /// The generation of a value is compared.
    compared: bool,
    /// Number of writers that may die.
    deaths: u8,
    /// Number of generations that may be evicted.
    evictions: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Fenced,
    Committed(u8),
    Released(u8),
    Done,
    Dead,
}

/// The acknowledged version, and the acknowledged or returned version, when a read began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Floor {
    acked: u8,
    known: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Began,
    Missed,
    /// With the generation, if it is read before the rows.
    GotGeneration(Option<u8>),
    /// With the rows.
    Selected {
        version: u8,
        generation: Option<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reader {
    done: u8,
    at: Option<(At, Floor)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Value {
    version: u8,
    generation: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    row: u8,
    generation: Option<u8>,
    value: Value,
    acked: u8,
    returned: u8,
    writers: [Writer; WRITERS],
    readers: [Reader; READERS],
    deaths: u8,
    evictions: u8,
    /// The next unused generation.
    fresh: u8,
}

impl Rules {
    /// Rotates the generation.
    fn renew(self, state: &mut State) -> u8 {
        let next = match self.renewal {
            Renewal::Random => state.fresh,
            Renewal::Counter => state.generation.unwrap_or(0) + 1,
        };
        state.fresh += u8::from(self.renewal == Renewal::Random);
        state.generation = Some(next);
        next
    }

    fn write(self, state: &State, me: usize, steps: &mut Steps<State>) {
        match state.writers[me] {
            Writer::Idle => steps.step(
                || format!("W{me} fences"),
                state,
                |s| {
                    if self.fence {
                        self.renew(s);
                    }
                    s.writers[me] = Writer::Fenced;
                },
            ),
            Writer::Fenced => steps.step(
                || format!("W{me} commits v{}", state.row + 1),
                state,
                |s| {
                    s.row += 1;
                    s.writers[me] = Writer::Committed(s.row);
                },
            ),
            Writer::Committed(version) => steps.step(
                || format!("W{me} releases"),
                state,
                |s| {
                    if self.release {
                        self.renew(s);
                    }
                    s.writers[me] = Writer::Released(version);
                },
            ),
            Writer::Released(version) => steps.step(
                || format!("W{me} is acknowledged, v{version}"),
                state,
                |s| {
                    s.acked = s.acked.max(version);
                    s.writers[me] = Writer::Done;
                },
            ),
            Writer::Done | Writer::Dead => {}
        }
        let is_active = matches!(
            state.writers[me],
            Writer::Fenced | Writer::Committed(_) | Writer::Released(_)
        );
        if state.deaths > 0 && is_active {
            steps.step(
                || format!("W{me} dies, {:?}", state.writers[me]),
                state,
                |s| {
                    s.writers[me] = Writer::Dead;
                    s.deaths -= 1;
                },
            );
        }
    }

    fn is_hit(self, state: &State) -> bool {
        !self.compared || state.generation == Some(state.value.generation)
    }

    fn read(self, state: &State, me: usize, steps: &mut Steps<State>) {
        let Some((at, floor)) = state.readers[me].at else {
            begin(state, me, steps);
            return;
        };
        let go = |s: &mut State, to: At| s.readers[me].at = Some((to, floor));
        match at {
            At::Began if self.is_hit(state) => {
                let version = state.value.version;
                returns(state, me, (version, floor), steps, |_| {});
            }
            At::Began => steps.step(|| format!("R{me} misses"), state, |s| go(s, At::Missed)),
            At::Missed if self.before_rows => steps.step(
                || format!("R{me} reads the generation, {:?}", state.generation),
                state,
                |s| {
                    let generation = self.in_force(s);
                    go(s, At::GotGeneration(Some(generation)));
                },
            ),
            At::Missed => steps.step(
                || format!("R{me} reads no generation yet"),
                state,
                |s| go(s, At::GotGeneration(None)),
            ),
            At::GotGeneration(generation) => steps.step(
                || format!("R{me} selects v{}", state.row),
                state,
                |s| {
                    let version = s.row;
                    go(
                        s,
                        At::Selected {
                            version,
                            generation,
                        },
                    );
                },
            ),
            At::Selected {
                version,
                generation,
            } => returns(state, me, (version, floor), steps, |s| {
                let generation = generation.unwrap_or_else(|| self.in_force(s));
                s.value = Value {
                    version,
                    generation,
                };
            }),
        }
    }

    /// The current generation, or a new one.
    fn in_force(self, state: &mut State) -> u8 {
        match state.generation {
            Some(generation) => generation,
            None => self.renew(state),
        }
    }
}

fn begin(state: &State, me: usize, steps: &mut Steps<State>) {
    if state.readers[me].done < READS {
        let floor = Floor {
            acked: state.acked,
            known: state.acked.max(state.returned),
        };
        steps.step(
            || format!("R{me} begins"),
            state,
            |s| s.readers[me].at = Some((At::Began, floor)),
        );
    }
}

fn returns(
    state: &State,
    me: usize,
    (version, floor): (u8, Floor),
    steps: &mut Steps<State>,
    fill: impl FnOnce(&mut State),
) {
    let broken = if version < floor.acked {
        Some(Broken::StaleAfterAck)
    } else if version < floor.known {
        Some(Broken::NewThenOld)
    } else {
        None
    };
    steps.step_that_breaks(
        broken,
        || format!("R{me} returns v{version}"),
        state,
        |s| {
            fill(s);
            s.returned = s.returned.max(version);
            s.readers[me].done += 1;
            s.readers[me].at = None;
        },
    );
}

impl Model for Rules {
    type State = State;

    fn start(&self) -> State {
        let idle = Reader { done: 0, at: None };
        State {
            row: 0,
            generation: Some(1),
            value: Value {
                version: 0,
                generation: 1,
            },
            acked: 0,
            returned: 0,
            writers: [Writer::Idle; WRITERS],
            readers: [idle; READERS],
            deaths: self.deaths,
            evictions: self.evictions,
            fresh: 2,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for me in 0..WRITERS {
            self.write(state, me, steps);
        }
        if state.evictions > 0 && state.generation.is_some() {
            steps.step(
                || "the generation is evicted".to_owned(),
                state,
                |s| {
                    s.generation = None;
                    s.evictions -= 1;
                },
            );
        }
        for me in 0..READERS {
            self.read(state, me, steps);
        }
    }
}

const RULES: Rules = Rules {
    renewal: Renewal::Random,
    fence: true,
    release: true,
    before_rows: true,
    compared: true,
    deaths: 0,
    evictions: 0,
};

/// R2: a value filled between a fence and its commit, and only until the release.
const OLDER_BEFORE_ACK: Expect = Expect::Only(&[Broken::NewThenOld]);
const STALE: Expect = Expect::Breaks(Broken::StaleAfterAck);

const DIES: Rules = Rules { deaths: 1, ..RULES };
const EVICTED: Rules = Rules {
    evictions: 1,
    ..RULES
};

#[test]
fn acknowledged_writes_are_visible() {
    check_all(&[
        ("two writers", RULES, OLDER_BEFORE_ACK),
        ("the generation is evicted", EVICTED, OLDER_BEFORE_ACK),
    ]);
    if torture() {
        let both = Rules {
            deaths: 1,
            ..EVICTED
        };
        check_all(&[
            ("one dies", DIES, OLDER_BEFORE_ACK),
            (
                "one dies, the generation is evicted",
                both,
                OLDER_BEFORE_ACK,
            ),
        ]);
    }
}

#[test]
fn each_rule_is_needed() {
    let counted = Rules {
        renewal: Renewal::Counter,
        ..EVICTED
    };
    let no_release = Rules {
        release: false,
        ..RULES
    };
    let late = Rules {
        before_rows: false,
        ..RULES
    };
    let blind = Rules {
        compared: false,
        ..RULES
    };
    check_all(&[
        ("a counter, evicted", counted, STALE),
        ("no release", no_release, STALE),
        ("the generation after the rows", late, STALE),
        ("any generation", blind, STALE),
    ]);
}

/// A second guard: it invalidates values that were filled before the commit. Without it acknowledged writes are still
/// visible.
#[test]
fn the_fence_is_not_needed_for_acknowledged_writes() {
    let no_fence = Rules {
        fence: false,
        ..RULES
    };
    check_all(&[("no fence", no_fence, OLDER_BEFORE_ACK)]);
}
