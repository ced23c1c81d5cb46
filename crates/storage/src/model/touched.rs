//! The change set of a transaction: the input of its commit hook and of cache invalidation.

use std::time::Duration;

use parlance_domain::{ConversationId, Message, MessageId, Owner, SenderId};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    /// A conversation was created, for this user.
    ConversationCreated(ConversationId, String),
    /// A conversation changed; it now belongs to this user (a change of the user adds a touch for each of the two).
    ConversationChanged(ConversationId, String),
    /// Old messages were added to an existing conversation, of this user.
    ConversationImported(ConversationId, String),
    /// A conversation was hidden, to be removed.
    ConversationDeleted(ConversationId, String),
    /// This message was added at the end of its conversation, which belongs to this user.
    MessageCreated(Box<Message>, String),
    /// A message was changed, in a conversation of this user.
    MessageChanged(MessageId, ConversationId, String),
    /// A message was removed from a conversation of this user.
    MessageDeleted(MessageId, ConversationId, String),
    /// The search index of older messages of a conversation, now of this user, was updated to its current title and
    /// user.
    ConversationIndexed(ConversationId, String),
    /// A sender was created, changed or removed.
    Sender(SenderId),
}

/// All changes of one transaction, for one owner.
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

    pub(crate) fn note_delivery(&mut self, wait: Duration) {
        self.next_delivery = Some(self.next_delivery.map_or(wait, |sooner| sooner.min(wait)));
    }

    /// Time until the next delivery that can be claimed.
    pub const fn next_delivery(&self) -> Option<Duration> {
        self.next_delivery
    }

    /// Owner of the changed data.
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The changes, in the order in which they were made.
    pub fn touches(&self) -> &[Touch] {
        &self.touches
    }
}
