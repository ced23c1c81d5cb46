//! The memory tier: an instance's data connection and invalidation connection, a writer at another instance, and Redis
//! as it works: it executes commands one by one, buffers replies and invalidations, and appends invalidations before it
//! flushes all of them. Another instance fills at any time while there is no fence.

use super::search::{Broken, Expect, HOLDS, Model, Steps, check_all};

const WRITES: u8 = 2;
const READS: u8 = 2;

/// The keys for which changes are broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tracked {
    Values,
    Leases,
    Both,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that can be switched off"
)]
struct Rules {
    tracked: Tracked,
    /// A read of a copy waits for a PONG.
    barrier: bool,
    /// A copy is stored only if no invalidation was received since its lookup began.
    guard: bool,
    /// The writer fences before it commits.
    fence: bool,
    /// A release writes the lease before it deletes it, so that it is broadcast even if the fence was lost.
    release_writes_lease: bool,
    /// Copies are made of rows too, not of values alone.
    copies_rows: bool,
    /// A server that answers the writer before it broadcasts.
    late_broadcast: bool,
    /// Values that expire without an invalidation.
    expiries: u8,
    /// Lost fences.
    losses: u8,
}

const RULES: Rules = Rules {
    tracked: Tracked::Leases,
    barrier: true,
    guard: true,
    fence: true,
    release_writes_lease: true,
    copies_rows: false,
    late_broadcast: false,
    expiries: 0,
    losses: 0,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Command {
    Get,
    Ping(u8),
    Fence,
    Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reply {
    Value(Option<u8>),
    Pong(u8),
    Done,
    Invalidate,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Connection {
    /// Commands on the way to Redis.
    requests: Vec<Command>,
    /// Replies in the buffer of Redis.
    buffered: Vec<Reply>,
    /// Replies on the way back.
    sent: Vec<Reply>,
}

impl Connection {
    fn flush(&mut self) {
        self.sent.append(&mut self.buffered);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Fencing,
    Releasing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Doing {
    Nothing,
    Begun,
    /// Waits for the PONG of this number.
    Waiting(u8),
    /// Has sent a GET at this count of invalidations.
    Requested(u8),
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
    fenced: bool,
    /// An invalidation waits for the flush.
    changed: bool,
    data: Connection,
    tracking: Connection,
    writing: Connection,
    copy: Option<u8>,
    /// Number of invalidations received.
    invalidations: u8,
    acked: u8,
    returned: u8,
    writer: Writer,
    writes: u8,
    reader: Reader,
    pings: u8,
    pong: u8,
    expiries: u8,
    losses: u8,
}

impl State {
    fn connections(&mut self) -> [&mut Connection; 3] {
        [&mut self.data, &mut self.tracking, &mut self.writing]
    }

    fn get(&mut self) {
        self.data.requests.push(Command::Get);
        self.reader.doing = Doing::Requested(self.invalidations);
    }

    fn commit(&mut self) {
        self.row += 1;
        self.writer = Writer::Releasing;
        self.writing.requests.push(Command::Release);
    }
}

impl Model for Rules {
    type State = State;

    fn start(&self) -> State {
        State {
            row: 0,
            value: Some(0),
            fenced: false,
            changed: false,
            data: Connection::default(),
            tracking: Connection::default(),
            writing: Connection::default(),
            copy: None,
            invalidations: 0,
            acked: 0,
            returned: 0,
            writer: Writer::Idle,
            writes: 0,
            reader: Reader {
                doing: Doing::Nothing,
                reads: 0,
                acked: 0,
                returned: 0,
            },
            pings: 0,
            pong: 0,
            expiries: self.expiries,
            losses: self.losses,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        self.redis(state, steps);
        self.flush(state, steps);
        pass(state, steps);
        self.write(state, steps);
        receive(state, steps);
        self.read(state, steps);
    }
}

impl Rules {
    /// Executes one command of one connection.
    fn redis(&self, state: &State, steps: &mut Steps<State>) {
        for (number, connection) in [&state.data, &state.tracking, &state.writing]
            .into_iter()
            .enumerate()
        {
            if let Some(command) = connection.requests.first() {
                steps.step(
                    || format!("Redis executes {command:?}"),
                    state,
                    |s| {
                        let reply = self.execute(s, *command);
                        let [data, tracking, writing] = s.connections();
                        let connection = [data, tracking, writing].into_iter().nth(number);
                        if let Some(connection) = connection {
                            connection.requests.remove(0);
                            connection.buffered.push(reply);
                        }
                    },
                );
            }
        }
    }

    fn execute(&self, state: &mut State, command: Command) -> Reply {
        let leases = self.tracked != Tracked::Values;
        match command {
            Command::Get => Reply::Value(state.value),
            Command::Ping(number) => Reply::Pong(number),
            Command::Fence => {
                state.changed |= leases || state.value.is_some();
                (state.value, state.fenced) = (None, true);
                Reply::Done
            }
            Command::Release => {
                let value = self.tracked != Tracked::Leases && state.value.is_some();
                // Deleting a missing lease is no change.
                let lease = leases && (state.fenced || self.release_writes_lease);
                state.changed |= value || lease;
                (state.value, state.fenced) = (None, false);
                Reply::Done
            }
        }
    }

    fn flush(&self, state: &State, steps: &mut Steps<State>) {
        let buffered = |connection: &Connection| !connection.buffered.is_empty();
        let any = [&state.data, &state.tracking, &state.writing]
            .into_iter()
            .any(buffered);
        if any || state.changed {
            steps.step(
                || "Redis flushes".to_owned(),
                state,
                |s| {
                    if s.changed {
                        s.changed = false;
                        s.tracking.buffered.push(Reply::Invalidate);
                    }
                    s.connections().into_iter().for_each(Connection::flush);
                },
            );
        }
        if self.late_broadcast && state.changed {
            steps.step(
                || "Redis flushes the replies alone".to_owned(),
                state,
                |s| s.connections().into_iter().for_each(Connection::flush),
            );
        }
    }

    fn write(&self, state: &State, steps: &mut Steps<State>) {
        let answered = !state.writing.sent.is_empty();
        match state.writer {
            Writer::Idle if state.writes < WRITES && self.fence => steps.step(
                || "W sends its fence".to_owned(),
                state,
                |s| {
                    s.writer = Writer::Fencing;
                    s.writing.requests.push(Command::Fence);
                },
            ),
            Writer::Idle if state.writes < WRITES => {
                steps.step(|| "W commits".to_owned(), state, State::commit);
            }
            Writer::Fencing if answered => {
                steps.step(
                    || "W commits, and sends its release".to_owned(),
                    state,
                    |s| {
                        s.writing.sent.remove(0);
                        s.commit();
                    },
                );
            }
            Writer::Releasing if answered => {
                steps.step(
                    || format!("W is acknowledged, v{}", state.row),
                    state,
                    |s| {
                        s.writing.sent.remove(0);
                        s.writer = Writer::Idle;
                        s.writes += 1;
                        s.acked = s.row;
                    },
                );
            }
            Writer::Idle | Writer::Fencing | Writer::Releasing => {}
        }
    }

    fn read(&self, state: &State, steps: &mut Steps<State>) {
        let get = || "R sends a GET".to_owned();
        match state.reader.doing {
            Doing::Nothing if state.reader.reads < READS => steps.step(
                || "R begins".to_owned(),
                state,
                |s| {
                    s.reader.doing = Doing::Begun;
                    s.reader.acked = s.acked;
                    s.reader.returned = s.acked.max(s.returned);
                },
            ),
            Doing::Begun => match state.copy {
                Some(copy) if !self.barrier => finish(state, "its copy", copy, None, steps),
                Some(_) => steps.step(
                    || "R sends a PING".to_owned(),
                    state,
                    |s| {
                        s.pings += 1;
                        s.reader.doing = Doing::Waiting(s.pings);
                        s.tracking.requests.push(Command::Ping(s.pings));
                    },
                ),
                None => steps.step(get, state, State::get),
            },
            Doing::Waiting(number) if state.pong >= number => match state.copy {
                Some(copy) => finish(state, "its copy", copy, None, steps),
                None => steps.step(get, state, State::get),
            },
            Doing::Nothing | Doing::Waiting(_) => {}
            Doing::Requested(count) => {
                let Some(Reply::Value(value)) = state.data.sent.first() else {
                    return;
                };
                let is_current = !self.guard || count == state.invalidations;
                let copied = |version| is_current.then_some(version);
                if let Some(value) = *value {
                    finish(state, "a value", value, copied(value), steps);
                } else {
                    let copied = copied(state.row).filter(|_| self.copies_rows);
                    finish(state, "the row", state.row, copied, steps);
                }
            }
        }
    }
}

/// Ends a read, and stores the copy.
fn finish(state: &State, what: &str, version: u8, copied: Option<u8>, steps: &mut Steps<State>) {
    let reader = state.reader;
    let broken = if version < reader.acked {
        Some(Broken::StaleAfterAck)
    } else {
        (version < reader.returned).then_some(Broken::NewThenOld)
    };
    let name = || format!("R returns {what}, v{version}");
    steps.step_that_breaks(broken, name, state, |s| {
        if matches!(reader.doing, Doing::Requested(_)) {
            s.data.sent.remove(0);
        }
        s.copy = copied.or(s.copy);
        s.returned = s.returned.max(version);
        s.reader = Reader {
            doing: Doing::Nothing,
            reads: reader.reads + 1,
            acked: 0,
            returned: 0,
        };
    });
}

/// Expiry, loss, and the other instances.
fn pass(state: &State, steps: &mut Steps<State>) {
    if state.expiries > 0 && state.value.is_some() {
        steps.step(
            || "the value expires without an invalidation".to_owned(),
            state,
            |s| {
                s.value = None;
                s.expiries -= 1;
            },
        );
    }
    if state.losses > 0 && state.fenced {
        steps.step(
            || "the fence is lost".to_owned(),
            state,
            |s| {
                s.fenced = false;
                s.losses -= 1;
            },
        );
    }
    if state.value.is_none() && !state.fenced {
        steps.step(
            || format!("another instance fills v{}", state.row),
            state,
            |s| s.value = Some(s.row),
        );
    }
    let seen = state.value.unwrap_or(state.row);
    if state.returned < seen {
        steps.step(
            || format!("a read elsewhere returns v{seen}"),
            state,
            |s| s.returned = seen,
        );
    }
}

/// Receives a message on the invalidation connection.
fn receive(state: &State, steps: &mut Steps<State>) {
    if let Some(reply) = state.tracking.sent.first() {
        steps.step(
            || format!("the instance receives {reply:?}"),
            state,
            |s| match s.tracking.sent.remove(0) {
                Reply::Invalidate => {
                    s.copy = None;
                    s.invalidations += 1;
                }
                Reply::Pong(number) => s.pong = number,
                Reply::Value(_) | Reply::Done => {}
            },
        );
    }
}

/// R1 and R2.
const STALE: Expect = Expect::Only(&[Broken::StaleAfterAck, Broken::NewThenOld]);
/// R2: before the acknowledgement, and only then.
const OLDER_BEFORE_ACK: Expect = Expect::Only(&[Broken::NewThenOld]);

const EXPIRES: Rules = Rules {
    expiries: 1,
    ..RULES
};
const LOST: Rules = Rules { losses: 1, ..RULES };

#[test]
fn the_rules_hold() {
    let both = Rules {
        expiries: 1,
        ..LOST
    };
    check_all(&[
        ("no fault", RULES, HOLDS),
        ("a value expires without an invalidation", EXPIRES, HOLDS),
        ("the fence is lost", LOST, OLDER_BEFORE_ACK),
        ("both", both, OLDER_BEFORE_ACK),
    ]);
}

#[test]
fn each_guard_is_needed() {
    let found = |broken| Expect::Breaks(broken);
    let no_barrier = Rules {
        barrier: false,
        ..RULES
    };
    let no_guard = Rules {
        guard: false,
        ..RULES
    };
    let no_fence = Rules {
        fence: false,
        ..RULES
    };
    let late = Rules {
        late_broadcast: true,
        ..RULES
    };
    let copies_rows = Rules {
        copies_rows: true,
        ..RULES
    };
    let quiet_release = Rules {
        release_writes_lease: false,
        ..LOST
    };
    check_all(&[
        ("no barrier", no_barrier, STALE),
        ("no fill guard", no_guard, STALE),
        ("no fence", no_fence, OLDER_BEFORE_ACK),
        ("a server that answers before it broadcasts", late, STALE),
        ("copies of rows", copies_rows, OLDER_BEFORE_ACK),
        (
            "a release without an invalidation",
            quiet_release,
            found(Broken::StaleAfterAck),
        ),
    ]);
}

#[test]
fn leases_are_tracked_because_values_expire_without_an_invalidation() {
    let values = |rules| Rules {
        tracked: Tracked::Values,
        release_writes_lease: false,
        ..rules
    };
    let both = |rules| Rules {
        tracked: Tracked::Both,
        release_writes_lease: false,
        ..rules
    };
    let lost_and_expired = Rules {
        expiries: 1,
        ..LOST
    };
    check_all(&[
        ("values, no fault", values(RULES), HOLDS),
        ("values, one expires", values(EXPIRES), STALE),
        ("both, the fence is lost", both(LOST), OLDER_BEFORE_ACK),
        ("both, and a value expires", both(lost_and_expired), STALE),
    ]);
}
