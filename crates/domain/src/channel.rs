//! How a message travels, which way, and who speaks.

use crate::text_enum::text_enum;

text_enum! {
    /// How a message travels.
    pub enum Channel {
        /// A text message.
        Sms = "sms",
        /// A text message with attachments.
        Mms = "mms",
        /// Electronic mail.
        Email = "email",
        /// A conversation inside the owner's own product; no address, no provider.
        Chat = "chat",
    }
}

impl Channel {
    /// The channel of the conversation that holds a message of this one: MMS lives in SMS conversations.
    #[must_use]
    pub const fn of_conversation(self) -> Self {
        match self {
            Self::Sms | Self::Mms => Self::Sms,
            Self::Email => Self::Email,
            Self::Chat => Self::Chat,
        }
    }
}

text_enum! {
    /// Which way a message goes, seen from us.
    pub enum Direction {
        /// From the other side to us.
        Inbound = "inbound",
        /// From us to the other side.
        Outbound = "outbound",
    }
}

text_enum! {
    /// Who speaks in a chat.
    pub enum Role {
        /// The person.
        User = "user",
        /// The one who answers.
        Assistant = "assistant",
        /// Instructions and notes.
        System = "system",
    }
}

impl Role {
    /// What a person says comes in, everything else goes out.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Self::User => Direction::Inbound,
            Self::Assistant | Self::System => Direction::Outbound,
        }
    }
}
