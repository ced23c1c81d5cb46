//! What a write changed: what the sink of a commit is told, and what caches are kept right by.

use std::time::Duration;

use parlance_domain::{ConversationId, Message, MessageId, Owner, SenderId};

/// One thing that a write changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    /// A conversation was made, for this user.
    ConversationCreated(ConversationId, String),
    /// A conversation changed; it belongs to this user now (a change of the user touches both).
    ConversationChanged(ConversationId, String),
    /// Old messages were added to a conversation that was there, of this user.
    ConversationImported(ConversationId, String),
    /// A conversation was hidden, to be removed.
    ConversationDeleted(ConversationId, String),
    /// This message was added at the end of its conversation, which belongs to this user.
    MessageCreated(Box<Message>, String),
    /// A message changed in its place, in a conversation of this user.
    MessageChanged(MessageId, ConversationId, String),
    /// A message was removed from a conversation of this user.
    MessageDeleted(MessageId, ConversationId, String),
    /// Older messages of a conversation, of this user now, are found by its title and user of now from here on.
    ConversationIndexed(ConversationId, String),
    /// A sender was made, changed or removed.
    Sender(SenderId),
}

/// Everything that one transaction changed, for one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    owner: Owner,
    touches: Vec<Touch>,
    next_delivery: Option<Duration>,
}

impl Touched {
    pub(crate) const fn nothing(owner: Owner) -> Self {
        Self {
            owner,
            touches: Vec::new(),
            next_delivery: None,
        }
    }

    pub(crate) fn add(&mut self, touch: Touch) {
        if !self.touches.contains(&touch) {
            self.touches.push(touch);
        }
    }

    pub(crate) fn note_job(&mut self, wait: Duration) {
        self.next_delivery = Some(self.next_delivery.map_or(wait, |sooner| sooner.min(wait)));
    }

    /// How soon there is a job that can be claimed.
    pub const fn next_delivery(&self) -> Option<Duration> {
        self.next_delivery
    }

    /// Whose data.
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What, in the order in which it happened.
    pub fn touches(&self) -> &[Touch] {
        &self.touches
    }
}
