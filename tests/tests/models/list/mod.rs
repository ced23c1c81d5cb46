//! The newest messages of one conversation, at most two: senders (their sequence is the order of commit), an edit, a
//! deletion, and two leased fillers. A fence may come before or after the row lock, so any two writes may overlap.
//!
//! R1: a served list has every acknowledged message among its newest, in order, once, and nothing older than an
//! acknowledged version. R2: nothing older than what any finished read returned.

mod rows;
mod writes;

use super::search::{Broken, Model, Steps};

/// Maximum number of messages in a list.
const LONGEST: usize = 2;
/// Maximum number of messages in all.
const MESSAGES: usize = 5;
/// The version of a deleted message.
const DELETED: u8 = 99;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Send,
    /// Changes message 0.
    Edit,
    /// Deletes message 0.
    Delete,
}

/// Action of a send on the list before its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    /// Adds its token to the lease, drops a reader's token, and pushes a mark onto the list.
    Mark,
    /// Pushes the mark, and leaves the lease as it is.
    MarkOnly,
    /// Deletes the list, like any other fence.
    Delete,
    /// Renames the list, to restore it later.
    Stash,
    /// Nothing.
    None,
}

/// The elements of which the stamp is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamps {
    All,
    Head,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Faults {
    deaths: u8,
    /// Lost leases.
    losses: u8,
    evictions: u8,
    /// Releases that fail, and are reconciled.
    failures: u8,
    aborts: u8,
    failovers: u8,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guard that can be switched off"
)]
struct Rules {
    fence: Fence,
    ops: &'static [Op],
    /// Number of messages at the beginning.
    messages: u8,
    /// A message is pushed only onto its predecessor.
    checks_sequence: bool,
    /// A mark is replaced only at the head.
    mark_at_head: bool,
    stamps: Stamps,
    fence_drops_reader: bool,
    release_drops_reader: bool,
    faults: Faults,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Element {
    Mark(u8),
    Message {
        sequence: u8,
        version: u8,
        epoch: u8,
    },
}

/// Newest first.
type List = Vec<Element>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lease {
    Free,
    Reader(u8),
    /// A bit per writer.
    Writers(u8),
}

impl Lease {
    fn has(self, writer: usize) -> bool {
        matches!(self, Self::Writers(set) if set & (1 << writer) != 0)
    }

    fn without(self, writer: usize) -> Self {
        match self {
            Self::Writers(set) if set & !(1 << writer) != 0 => Self::Writers(set & !(1 << writer)),
            Self::Writers(_) | Self::Free | Self::Reader(_) => Self::Free,
        }
    }
}

/// The version of each message: acknowledged, returned, or committed.
type Versions = [Option<u8>; MESSAGES];

/// A version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Change {
    sequence: u8,
    version: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Fenced,
    Committed(Change),
    /// Not released; a reconciliation pass will release it.
    Pending(Change),
    Released(Change),
    Done,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Fill {
    Idle,
    Leased { epoch: u8 },
    Selected { epoch: u8, rows: Versions },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    rows: Versions,
    list: Option<List>,
    lease: Lease,
    /// Writer and list.
    stash: Option<(u8, List)>,
    acked: Versions,
    returned: Versions,
    writers: [Writer; 3],
    fills: [Fill; 2],
    epoch: u8,
    left: Faults,
}

impl State {
    fn count(&self) -> usize {
        self.rows.iter().flatten().count()
    }
}

/// The newest of these rows, with the epoch.
fn page(rows: &Versions, epoch: u8) -> List {
    let messages = (0..).zip(rows).filter_map(|(sequence, version)| {
        version
            .filter(|v| *v != DELETED)
            .map(|version| Element::Message {
                sequence,
                version,
                epoch,
            })
    });
    let mut newest: List = messages.collect();
    newest.reverse();
    newest.truncate(LONGEST);
    newest
}

fn join(known: &mut Versions, more: &Versions) {
    for (known, more) in known.iter_mut().zip(more) {
        *known = (*known).max(*more);
    }
}

/// The messages of a list; `None` if it has a mark, or they are not in order.
fn messages(list: &List) -> Option<Vec<Change>> {
    let change = |element: &Element| match *element {
        Element::Mark(_) => None,
        Element::Message {
            sequence, version, ..
        } => Some(Change { sequence, version }),
    };
    let messages: Vec<Change> = list.iter().map(change).collect::<Option<_>>()?;
    messages
        .is_sorted_by(|a, b| a.sequence > b.sequence)
        .then_some(messages)
}

/// Whether the list is correct for a read that must see these versions.
fn is_right(list: &List, known: &Versions, rows: &Versions) -> bool {
    let Some(messages) = messages(list) else {
        return false;
    };
    let is_full_of_newer = |sequence| {
        messages.len() >= LONGEST && messages.last().is_some_and(|m| m.sequence > sequence)
    };
    (0..)
        .zip(known.iter().zip(rows))
        .all(|(sequence, (known, row))| {
            let found = messages.iter().find(|m| m.sequence == sequence);
            match (known, found) {
                (None, _) => true,
                (Some(DELETED), found) => found.is_none(),
                (Some(known), Some(found)) => found.version >= *known,
                (Some(_), None) => *row == Some(DELETED) || is_full_of_newer(sequence),
            }
        })
}

impl Rules {
    /// Whether a reader treats the list as a hit.
    fn is_hit(&self, list: &List, epoch: u8) -> bool {
        if matches!(list.first(), Some(Element::Mark(_))) {
            return false;
        }
        let is_of_epoch =
            |element: &Element| matches!(element, Element::Message { epoch: e, .. } if *e == epoch);
        match self.stamps {
            Stamps::All => list.iter().all(is_of_epoch),
            Stamps::Head => list.first().is_some_and(is_of_epoch),
            Stamps::None => true,
        }
    }

    fn read(&self, state: &State, steps: &mut Steps<State>) {
        let hit = state
            .list
            .as_ref()
            .filter(|list| self.is_hit(list, state.epoch));
        let mut returned = state.returned;
        let Some(list) = hit else {
            join(&mut returned, &state.rows);
            if returned != state.returned {
                let name = || "a read finds the rows".to_owned();
                steps.step(name, state, |s| s.returned = returned);
            }
            return;
        };
        let may_know = |known| is_right(list, known, &state.rows);
        let broken = match (may_know(&state.acked), may_know(&state.returned)) {
            (false, _) => Some(Broken::StaleAfterAck),
            (true, false) => Some(Broken::NewThenOld),
            (true, true) => None,
        };
        for element in list {
            if let Element::Message {
                sequence, version, ..
            } = element
            {
                let known = &mut returned[usize::from(*sequence)];
                *known = (*known).max(Some(*version));
            }
        }
        if broken.is_some() || returned != state.returned {
            let name = || format!("a read hits {list:?}");
            steps.step_that_breaks(broken, name, state, |s| s.returned = returned);
        }
    }

    fn fill(&self, state: &State, me: u8, steps: &mut Steps<State>) {
        let fill = usize::from(me);
        match &state.fills[fill] {
            Fill::Idle => {
                let hit = state
                    .list
                    .as_ref()
                    .is_some_and(|list| self.is_hit(list, state.epoch));
                if !hit && !matches!(state.lease, Lease::Writers(_)) {
                    steps.step(
                        || format!("F{me} takes the lease"),
                        state,
                        |s| {
                            s.lease = Lease::Reader(me);
                            s.fills[fill] = Fill::Leased { epoch: s.epoch };
                        },
                    );
                }
            }
            Fill::Leased { epoch } => steps.step(
                || format!("F{me} reads the rows"),
                state,
                |s| {
                    s.fills[fill] = Fill::Selected {
                        epoch: *epoch,
                        rows: s.rows,
                    };
                },
            ),
            Fill::Selected { epoch, rows } => {
                let page = page(rows, *epoch);
                let may =
                    state.lease == Lease::Reader(me) && *epoch == state.epoch && !page.is_empty();
                steps.step(
                    || format!("F{me} fills: {may}"),
                    state,
                    |s| {
                        s.fills[fill] = Fill::Idle;
                        if may {
                            s.list = Some(page);
                            s.lease = Lease::Free;
                        }
                    },
                );
            }
        }
    }
}

impl Model for Rules {
    type State = State;

    fn start(&self) -> State {
        let mut rows = [None; MESSAGES];
        rows[..usize::from(self.messages)].fill(Some(0));
        State {
            rows,
            list: Some(page(&rows, 0)),
            lease: Lease::Free,
            stash: None,
            acked: rows,
            returned: rows,
            writers: [Writer::Idle; 3],
            fills: [Fill::Idle, Fill::Idle],
            epoch: 0,
            left: self.faults,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for (me, op) in self.ops.iter().enumerate() {
            self.write(state, me, *op, steps);
            die(state, me, steps);
        }
        self.lose(state, steps);
        self.read(state, steps);
        for me in 0..2 {
            self.fill(state, me, steps);
        }
    }
}

fn die(state: &State, me: usize, steps: &mut Steps<State>) {
    match state.writers[me] {
        Writer::Fenced | Writer::Committed(_) if state.left.deaths > 0 => steps.step(
            || format!("W{me} dies, {:?}", state.writers[me]),
            state,
            |s| {
                s.writers[me] = Writer::Dead;
                s.left.deaths -= 1;
            },
        ),
        Writer::Dead if state.lease.has(me) => steps.step(
            || format!("the token of dead W{me} expires"),
            state,
            |s| s.lease = s.lease.without(me),
        ),
        Writer::Idle
        | Writer::Fenced
        | Writer::Committed(_)
        | Writer::Pending(_)
        | Writer::Released(_)
        | Writer::Done
        | Writer::Dead => {}
    }
}

impl Rules {
    fn lose(&self, state: &State, steps: &mut Steps<State>) {
        if state.left.losses > 0 && state.lease != Lease::Free {
            steps.step(
                || "the lease is lost".to_owned(),
                state,
                |s| {
                    s.lease = Lease::Free;
                    s.left.losses -= 1;
                },
            );
        }
        if state.left.evictions > 0 && state.list.is_some() {
            steps.step(
                || "the list is evicted".to_owned(),
                state,
                |s| {
                    s.list = None;
                    s.left.evictions -= 1;
                },
            );
        }
        if state.left.evictions > 0 && state.stash.is_some() {
            steps.step(
                || "the renamed list is evicted".to_owned(),
                state,
                |s| {
                    s.stash = None;
                    s.left.evictions -= 1;
                },
            );
        }
        if state.left.failovers > 0 {
            steps.step(
                || "failover to the initial list".to_owned(),
                state,
                |s| {
                    s.list = self.start().list;
                    s.lease = Lease::Free;
                    s.stash = None;
                    s.epoch = 1;
                    s.left.failovers -= 1;
                },
            );
        }
    }
}
