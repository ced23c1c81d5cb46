//! Fence, commit and release of sends, edits and deletions.

use super::{Change, DELETED, Element, Fence, LONGEST, Lease, List, Op, Rules, Stamps, State};
use super::{Steps, Writer};

impl Rules {
    pub(super) fn write(&self, state: &State, me: usize, op: Op, steps: &mut Steps<State>) {
        match state.writers[me] {
            Writer::Idle => steps.step(
                || format!("W{me}, {op:?}, fences"),
                state,
                |s| {
                    self.fence(s, me, op);
                    s.writers[me] = Writer::Fenced;
                },
            ),
            Writer::Fenced => self.commit(state, me, op, steps),
            Writer::Committed(change) => {
                steps.step(
                    || format!("W{me} releases"),
                    state,
                    |s| {
                        let pushed = (op == Op::Send).then_some(change.sequence);
                        self.release(s, me, pushed);
                        s.writers[me] = Writer::Released(change);
                    },
                );
                if state.left.failures > 0 {
                    steps.step(
                        || format!("the release of W{me} fails"),
                        state,
                        |s| {
                            s.writers[me] = Writer::Pending(change);
                            s.left.failures -= 1;
                        },
                    );
                }
            }
            Writer::Pending(change) => steps.step(
                || format!("W{me} is reconciled"),
                state,
                |s| {
                    self.release(s, me, None);
                    s.writers[me] = Writer::Released(change);
                },
            ),
            Writer::Released(change) => steps.step(
                || format!("W{me} is acknowledged, {change:?}"),
                state,
                |s| {
                    let known = &mut s.acked[usize::from(change.sequence)];
                    *known = (*known).max(Some(change.version));
                    s.writers[me] = Writer::Done;
                },
            ),
            Writer::Done | Writer::Dead => {}
        }
    }

    fn commit(&self, state: &State, me: usize, op: Op, steps: &mut Steps<State>) {
        let first = state.rows[0].filter(|version| *version != DELETED);
        let change = match op {
            Op::Send => Some(Change {
                sequence: u8::try_from(state.count()).unwrap_or(u8::MAX),
                version: 0,
            }),
            Op::Edit => first.map(|version| Change {
                sequence: 0,
                version: version + 1,
            }),
            Op::Delete => first.map(|_| Change {
                sequence: 0,
                version: DELETED,
            }),
        };
        if let Some(change) = change {
            steps.step(
                || format!("W{me} commits {change:?}"),
                state,
                |s| {
                    s.rows[usize::from(change.sequence)] = Some(change.version);
                    s.writers[me] = Writer::Committed(change);
                },
            );
        }
        if change.is_none() || state.left.aborts > 0 {
            steps.step(
                || format!("W{me} aborts and releases"),
                state,
                |s| {
                    self.release(s, me, None);
                    s.writers[me] = Writer::Done;
                    s.left.aborts = s.left.aborts.saturating_sub(1);
                },
            );
        }
    }

    fn fence(&self, state: &mut State, me: usize, op: Op) {
        let mine = writer(me);
        let kind = match op {
            Op::Send => self.fence,
            // Edits and deletions delete the list whatever sends do, unless there is no fence at all.
            Op::Edit | Op::Delete if self.fence == Fence::None => Fence::None,
            Op::Edit | Op::Delete => Fence::Delete,
        };
        let others = match state.lease {
            Lease::Writers(set) => Some(set),
            Lease::Free | Lease::Reader(_) => None,
        };
        let keeps_reader = matches!(state.lease, Lease::Reader(_)) && !self.fence_drops_reader;
        if !matches!(kind, Fence::None | Fence::MarkOnly) && !keeps_reader {
            state.lease = Lease::Writers(others.unwrap_or(0) | 1 << me);
        }
        match kind {
            Fence::None => {}
            Fence::Mark | Fence::MarkOnly => {
                if let Some(list) = &mut state.list {
                    list.insert(0, Element::Mark(mine));
                }
            }
            Fence::Delete => state.list = None,
            Fence::Stash => {
                let list = state.list.take();
                if others.is_none() && list.is_some() {
                    state.stash = list.map(|list| (mine, list));
                }
            }
        }
    }

    /// Releases with the sequence of the message to push, if any.
    fn release(&self, state: &mut State, me: usize, pushed: Option<u8>) {
        let mine = writer(me);
        let only = state.lease == Lease::Writers(1 << me);
        state.lease = match state.lease {
            Lease::Writers(_) => state.lease.without(me),
            Lease::Reader(_) if !self.release_drops_reader => state.lease,
            Lease::Free | Lease::Reader(_) => Lease::Free,
        };
        let is_mine = state
            .stash
            .as_ref()
            .is_some_and(|(owner, _)| *owner == mine);
        let stashed = state.stash.take_if(|_| is_mine).map(|(_, list)| list);
        let list = state.list.take();
        let epoch = state.epoch;
        let Some(sequence) = pushed else {
            return;
        };
        state.list = match self.fence {
            Fence::Delete => None,
            Fence::None => list.map(|below| push(below, sequence, epoch, LONGEST)),
            Fence::Stash => stashed
                .filter(|below| only && list.is_none() && self.fits(below, sequence, epoch))
                .map(|below| push(below, sequence, epoch, LONGEST)),
            Fence::Mark | Fence::MarkOnly => {
                list.and_then(|list| self.append(list, mine, sequence, epoch))
            }
        };
    }

    /// Replaces the mark by its message, if that is in order.
    fn append(&self, mut list: List, mine: u8, sequence: u8, epoch: u8) -> Option<List> {
        let mark = list.iter().position(|e| *e == Element::Mark(mine))?;
        list.remove(mark);
        if mark == 0 && self.fits(&list, sequence, epoch) {
            Some(push(list, sequence, epoch, LONGEST))
        } else {
            (!self.mark_at_head).then(|| push(list, sequence, epoch, LONGEST + 1))
        }
    }

    fn fits(&self, below: &List, sequence: u8, epoch: u8) -> bool {
        matches!(below.first(), Some(Element::Message { sequence: s, epoch: e, .. })
            if (!self.checks_sequence || s + 1 == sequence)
                && (self.stamps != Stamps::All || *e == epoch))
    }
}

fn writer(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn push(mut list: List, sequence: u8, epoch: u8, longest: usize) -> List {
    let version = 0;
    let message = Element::Message {
        sequence,
        version,
        epoch,
    };
    list.insert(0, message);
    list.truncate(longest);
    list
}
