//! Simulated network: the messages that the simulator has accepted.

use std::collections::{HashMap, HashSet, VecDeque};

use parking_lot::{Mutex, MutexGuard};
use parlance_domain::MessageId;

use crate::{SentMessage, SentQuery};

/// Number of messages that are remembered.
const CAPACITY: usize = 10_000;

#[derive(Default)]
pub(super) struct Network {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: HashMap<MessageId, SentMessage>,
    order: VecDeque<MessageId>,
    deferred: HashSet<MessageId>,
}

impl Network {
    /// Accepts a message; returns `false` if it was accepted before.
    pub(super) fn accept(&self, sent: SentMessage) -> bool {
        let mut state = self.lock();
        if let Some(known) = state.sent.get_mut(&sent.message_id) {
            known.times_accepted += 1;
            return false;
        }
        state.order.push_back(sent.message_id);
        state.sent.insert(sent.message_id, sent);
        if state.order.len() > CAPACITY
            && let Some(oldest) = state.order.pop_front()
        {
            state.sent.remove(&oldest);
            state.deferred.remove(&oldest);
        }
        true
    }

    /// Marks a message as deferred; returns `true` the first time.
    pub(super) fn defer_once(&self, message: MessageId) -> bool {
        let mut state = self.lock();
        if state.deferred.len() >= CAPACITY {
            state.deferred.clear();
        }
        state.deferred.insert(message)
    }

    pub(super) fn query(&self, query: &SentQuery) -> Vec<SentMessage> {
        let SentQuery { owner, to, limit } = query;
        let state = self.lock();
        let newest_first = state.order.iter().rev().filter_map(|id| state.sent.get(id));
        let wanted = newest_first
            .filter(|sent| sent.owner == *owner && to.as_ref().is_none_or(|to| *to == sent.to));
        wanted.take(*limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
