//! States of a conversation and the transitions between them.

use crate::Step;
use crate::text_enum::text_enum;

text_enum! {
    /// State of a conversation.
    pub enum ConversationStatus {
        /// Open.
        Active = "active",
        /// Archived until the next message.
        Archived = "archived",
        /// Closed for good; the next message between the same addresses opens a new conversation.
        Closed = "closed",
    }
}

/// Event that can change a conversation's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationEvent {
    /// A caller sets the state.
    SetStatus(ConversationStatus),
    /// A message is sent or arrives.
    MessageAdded,
}

impl ConversationStatus {
    /// Applies an event.
    #[must_use]
    pub const fn apply(self, event: ConversationEvent) -> Step<Self> {
        match event {
            ConversationEvent::SetStatus(wanted) => self.set(wanted),
            ConversationEvent::MessageAdded => match self {
                Self::Active => Step::Ignored,
                Self::Archived => Step::Moved(Self::Active),
                // A message by addresses opens a new conversation; a message by conversation id is refused.
                Self::Closed => Step::Illegal,
            },
        }
    }

    const fn set(self, wanted: Self) -> Step<Self> {
        match (self, wanted) {
            (Self::Active, Self::Active)
            | (Self::Archived, Self::Archived)
            | (Self::Closed, Self::Closed) => Step::Ignored,
            (Self::Active | Self::Archived, _) => Step::Moved(wanted),
            // Another open conversation of the same pair of addresses may exist by now, so a closed one is never
            // reopened.
            (Self::Closed, Self::Active | Self::Archived) => Step::Illegal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ConversationEvent::{MessageAdded, SetStatus};
    use super::ConversationStatus::{self, Active, Archived, Closed};
    use crate::Step::{self, Ignored, Illegal, Moved};

    #[test]
    fn every_pair_of_state_and_event() {
        let table: [(ConversationStatus, [Step<ConversationStatus>; 4]); 3] = [
            //          set active      set archived     set closed     message
            (Active, [Ignored, Moved(Archived), Moved(Closed), Ignored]),
            (
                Archived,
                [Moved(Active), Ignored, Moved(Closed), Moved(Active)],
            ),
            (Closed, [Illegal, Illegal, Ignored, Illegal]),
        ];
        let events = [
            SetStatus(Active),
            SetStatus(Archived),
            SetStatus(Closed),
            MessageAdded,
        ];
        assert_eq!(table.len(), ConversationStatus::ALL.len());
        for (state, row) in table {
            for (event, expected) in events.into_iter().zip(row) {
                assert_eq!(state.apply(event), expected, "{state} and {event:?}");
            }
        }
    }
}
