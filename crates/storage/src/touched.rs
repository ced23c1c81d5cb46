//! What a write changed: what the sink of a commit is told, and what caches are kept right by.

use parlance_domain::{ConversationId, MessageId, Owner, SenderId};

/// One thing that a write changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Touch {
    /// A conversation was made, for this user.
    ConversationCreated(ConversationId, String),
    /// A conversation changed; it belongs to this user now (a change of the user touches both).
    ConversationChanged(ConversationId, String),
    /// A conversation was hidden, to be removed.
    ConversationDeleted(ConversationId, String),
    /// A message was added at the end of a conversation.
    MessageCreated(MessageId, ConversationId),
    /// A message changed in its place.
    MessageChanged(MessageId, ConversationId),
    /// A message was removed.
    MessageDeleted(MessageId, ConversationId),
    /// A sender was made, changed or removed.
    Sender(SenderId),
}

/// Everything that one transaction changed, for one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    owner: Owner,
    touches: Vec<Touch>,
    made_jobs: bool,
}

impl Touched {
    pub(crate) const fn nothing(owner: Owner) -> Self {
        Self {
            owner,
            touches: Vec::new(),
            made_jobs: false,
        }
    }

    pub(crate) fn add(&mut self, touch: Touch) {
        if !self.touches.contains(&touch) {
            self.touches.push(touch);
        }
    }

    pub(crate) const fn note_job(&mut self) {
        self.made_jobs = true;
    }

    /// Whether there is a job now that can be claimed at once.
    pub const fn made_jobs(&self) -> bool {
        self.made_jobs
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
