//! Simulated network: the messages that the simulator has accepted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use parlance_domain::{MessageId, Owner, Timestamp};

/// Number of messages that are remembered.
const CAPACITY: usize = 10_000;

/// A message as the simulated network received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The owner that it belongs to.
    pub owner: Owner,
    /// Message id.
    pub message_id: MessageId,
    /// The simulator's id of the message.
    pub provider_message_id: String,
    /// Our address.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Subject; mail only.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// Number of attachments.
    pub attachments: usize,
    /// Time of the first hand-over.
    pub accepted_at: Timestamp,
    /// Number of hand-overs; it is delivered once in any case.
    pub times_accepted: u32,
}

/// Query for accepted messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenQuery {
    /// The owner.
    pub owner: Owner,
    /// The recipient; any if `None`.
    pub to: Option<String>,
    /// Maximum number of results.
    pub limit: usize,
}

#[derive(Default)]
pub(super) struct SimulatedNetwork {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashMap<MessageId, Seen>,
    order: VecDeque<MessageId>,
    deferred: HashSet<MessageId>,
}

impl SimulatedNetwork {
    /// Accepts a message; returns `false` if it was accepted before.
    pub(super) fn accept(&self, seen: Seen) -> bool {
        let mut state = self.lock();
        if let Some(known) = state.seen.get_mut(&seen.message_id) {
            known.times_accepted += 1;
            return false;
        }
        state.order.push_back(seen.message_id);
        state.seen.insert(seen.message_id, seen);
        if state.order.len() > CAPACITY
            && let Some(oldest) = state.order.pop_front()
        {
            state.seen.remove(&oldest);
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

    pub(super) fn query(&self, query: &SeenQuery) -> Vec<Seen> {
        let SeenQuery { owner, to, limit } = query;
        let state = self.lock();
        let newest_first = state.order.iter().rev().filter_map(|id| state.seen.get(id));
        let wanted = newest_first
            .filter(|seen| seen.owner == *owner && to.as_ref().is_none_or(|to| *to == seen.to));
        wanted.take(*limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
