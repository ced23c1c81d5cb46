//! Webhooks of the simulated network: kept, in order within a message, and repeated by their URL's policy.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parlance_domain::Timestamp;

use super::message::Status;
use super::result::WebhookResult;
use super::retry::{Retries, WebhookTimeouts};
use crate::WebhookState;

/// Number of webhooks that are kept.
const MAX_WEBHOOKS: usize = 10_000;
/// Number of webhooks of one message that may wait.
const MAX_WAITING: usize = 64;
const TOO_MANY: &str = "too many webhooks wait";

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The account that it belongs to.
    pub account: String,
    /// Id of its message.
    pub sid: String,
    /// Its URL without the fragment; empty inside the process.
    pub url: String,
    /// Time limits of its attempts.
    pub timeouts: WebhookTimeouts,
    /// The form parameters.
    pub parameters: Vec<(String, String)>,
    /// The reported status.
    pub status: Status,
    /// Code of the reported error.
    pub error: Option<u32>,
    /// Equal for all repetitions.
    pub token: String,
    /// Time of the event.
    pub occurred_at: Timestamp,
    /// State.
    pub state: WebhookState,
    /// Number of times that it was sent.
    pub attempts: u32,
    /// Result of the last attempt.
    pub result: String,
    pub(super) retries: Retries,
    /// Repetitions that are left of the present sending.
    pub(super) retries_left: u32,
}

impl Webhook {
    /// Notes that there is no room for it. One that was sent before keeps its result.
    fn refuse(&mut self) {
        if self.attempts == 0 {
            self.state = WebhookState::Failed;
            TOO_MANY.clone_into(&mut self.result);
        }
    }
}

/// Queue of one message. Only one of its webhooks is on its way at a time, so that their order is determined.
#[derive(Debug, Default)]
struct Queue {
    sending: Option<u64>,
    waiting: VecDeque<u64>,
    /// Held back until a later webhook joins the queue.
    held: Vec<u64>,
}

/// All webhooks, by number.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    kept: BTreeMap<u64, Webhook>,
    queues: HashMap<String, Queue>,
    next: u64,
    /// Number of messages whose webhooks may wait.
    max_queues: usize,
}

impl Webhooks {
    pub(super) fn new(max_queues: usize) -> Self {
        Self {
            max_queues,
            ..Self::default()
        }
    }

    /// Keeps a webhook, and removes the oldest one beyond the limit.
    pub(super) fn insert(&mut self, webhook: Webhook) -> u64 {
        self.next += 1;
        self.kept.insert(self.next, webhook);
        if self.kept.len() > MAX_WEBHOOKS {
            self.kept.pop_first();
        }
        self.next
    }

    pub(super) fn get(&self, id: u64) -> Option<&Webhook> {
        self.kept.get(&id)
    }

    /// The webhooks of an account with their numbers, newest first.
    pub(super) fn of<'a>(&'a self, account: &'a str) -> impl Iterator<Item = (u64, &'a Webhook)> {
        let newest_first = self.kept.iter().rev().map(|(id, webhook)| (*id, webhook));
        newest_first.filter(move |(_, webhook)| webhook.account == account)
    }

    /// Holds a webhook back until the next one of its message.
    pub(super) fn hold(&mut self, id: u64) {
        let Some(webhook) = self.kept.get_mut(&id) else {
            return;
        };
        match queue(&mut self.queues, &webhook.sid, self.max_queues) {
            Some(queue) => queue.held.push(id),
            None => webhook.refuse(),
        }
    }

    /// Whether a webhook is held back; it no longer is afterwards.
    pub(super) fn release(&mut self, id: u64, sid: &str) -> bool {
        let Some(queue) = self.queues.get_mut(sid) else {
            return false;
        };
        let before = queue.held.len();
        queue.held.retain(|held| *held != id);
        queue.held.len() < before
    }

    /// Adds a webhook to the queue of its message, followed by those that were held back for it. Returns whether there
    /// was room.
    pub(super) fn enqueue(&mut self, id: u64) -> bool {
        let Some(webhook) = self.kept.get_mut(&id) else {
            return false;
        };
        let queue = queue(&mut self.queues, &webhook.sid, self.max_queues);
        let Some(queue) = queue.filter(|queue| queue.waiting.len() < MAX_WAITING) else {
            webhook.refuse();
            return false;
        };
        webhook.state = WebhookState::Waiting;
        queue.waiting.push_back(id);
        queue.waiting.extend(queue.held.drain(..));
        true
    }

    /// Returns the webhook to send next, if none of the message is on its way.
    pub(super) fn start_next(&mut self, sid: &str) -> Option<u64> {
        let queue = self.queues.get_mut(sid)?;
        if queue.sending.is_some() {
            return None;
        }
        while let Some(id) = queue.waiting.pop_front() {
            if let Some(webhook) = self.kept.get_mut(&id) {
                webhook.state = WebhookState::Sending;
                webhook.attempts = webhook.attempts.saturating_add(1);
                webhook.retries_left = webhook.retries.count;
                queue.sending = Some(id);
                return Some(id);
            }
        }
        if queue.held.is_empty() {
            self.queues.remove(sid);
        }
        None
    }

    /// Records the result of an attempt. Returns whether the webhook must be sent again at once.
    pub(super) fn finish(&mut self, id: u64, sid: &str, result: WebhookResult) -> bool {
        if let Some(webhook) = self.kept.get_mut(&id) {
            webhook.result = result.text();
            if result.is_success() {
                webhook.state = WebhookState::Delivered;
            } else if webhook.retries_left > 0 && webhook.retries.applies_to(result) {
                webhook.retries_left -= 1;
                webhook.attempts = webhook.attempts.saturating_add(1);
                return true;
            } else {
                webhook.state = WebhookState::Failed;
            }
        }
        if let Some(queue) = self.queues.get_mut(sid)
            && queue.sending == Some(id)
        {
            queue.sending = None;
        }
        false
    }
}

/// Returns the queue of a message; `None` if it has none and there are too many.
fn queue<'a>(
    queues: &'a mut HashMap<String, Queue>,
    sid: &str,
    max_queues: usize,
) -> Option<&'a mut Queue> {
    if queues.len() >= max_queues && !queues.contains_key(sid) {
        return None;
    }
    Some(queues.entry(sid.to_owned()).or_default())
}
