//! What the far side has seen.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use parlance_domain::{MessageId, Owner, Timestamp};

/// How many messages the far side remembers.
const MEMORY: usize = 10_000;

/// A message as the far side saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose it was.
    pub owner: Owner,
    /// Its id.
    pub message_id: MessageId,
    /// The simulator's id of it.
    pub provider_message_id: String,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The subject; mail only.
    pub subject: String,
    /// The text.
    pub body: String,
    /// How many attachments it had.
    pub attachments: usize,
    /// When it was first taken.
    pub accepted_at: Timestamp,
    /// How often it was handed over; delivered once all the same.
    pub times_accepted: u32,
}

/// Which messages are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenQuery {
    /// Whose.
    pub owner: Owner,
    /// To whom; anybody without it.
    pub to: Option<String>,
    /// At most so many.
    pub limit: usize,
}

#[derive(Default)]
pub(super) struct FarSide {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    seen: HashMap<MessageId, Seen>,
    order: VecDeque<MessageId>,
    knocked: HashSet<MessageId>,
}

impl FarSide {
    /// Takes a message; `false` if it was taken before.
    pub(super) fn accept(&self, seen: Seen) -> bool {
        let mut memory = self.lock();
        if let Some(known) = memory.seen.get_mut(&seen.message_id) {
            known.times_accepted += 1;
            return false;
        }
        memory.order.push_back(seen.message_id);
        memory.seen.insert(seen.message_id, seen);
        if memory.order.len() > MEMORY
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.seen.remove(&oldest);
            memory.knocked.remove(&oldest);
        }
        true
    }

    /// Whether this message has not been put off yet.
    pub(super) fn first_knock(&self, message: MessageId) -> bool {
        let mut memory = self.lock();
        if memory.knocked.len() >= MEMORY {
            memory.knocked.clear();
        }
        memory.knocked.insert(message)
    }

    pub(super) fn query(&self, query: &SeenQuery) -> Vec<Seen> {
        let SeenQuery { owner, to, limit } = query;
        let memory = self.lock();
        let newest_first = memory
            .order
            .iter()
            .rev()
            .filter_map(|id| memory.seen.get(id));
        let wanted = newest_first
            .filter(|seen| seen.owner == *owner && to.as_ref().is_none_or(|to| *to == seen.to));
        wanted.take(*limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it is held.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
