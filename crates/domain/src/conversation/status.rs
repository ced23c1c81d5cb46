//! The states of a conversation and the moves between them.

use crate::Step;
use crate::text_enum::text_enum;

text_enum! {
    /// Whether a conversation goes on.
    pub enum ConversationStatus {
        /// It goes on.
        Active = "active",
        /// Put aside until the next message.
        Archived = "archived",
        /// Over; what comes next opens another.
        Closed = "closed",
    }
}

/// What happens to a conversation's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationEvent {
    /// Someone sets it.
    SetStatus(ConversationStatus),
    /// A message is sent or arrives.
    MessageAdded,
}

impl ConversationStatus {
    /// What the event does.
    #[must_use]
    pub const fn apply(self, event: ConversationEvent) -> Step<Self> {
        match event {
            ConversationEvent::SetStatus(wanted) => self.set(wanted),
            ConversationEvent::MessageAdded => match self {
                Self::Active => Step::Ignored,
                Self::Archived => Step::Moved(Self::Active),
                // A message by addresses opens another conversation; one by id has nowhere to go.
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
            // Another open conversation of the same pair may exist by now, so a closed one cannot come back.
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
