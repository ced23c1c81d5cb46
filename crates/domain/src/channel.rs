//! Channel, direction and role of a message.

use crate::text_enum::text_enum;

text_enum! {
    /// Channel of a message.
    pub enum Channel {
        /// Text message.
        Sms = "sms",
        /// Text message with attachments.
        Mms = "mms",
        /// Mail.
        Email = "email",
        /// Conversation inside the owner's own product: no addresses and no provider.
        Chat = "chat",
    }
}

impl Channel {
    /// Returns the channel of the conversation that holds a message of this channel: MMS messages belong to SMS
    /// conversations.
    #[must_use]
    pub const fn of_conversation(self) -> Self {
        match self {
            Self::Sms | Self::Mms => Self::Sms,
            Self::Email => Self::Email,
            Self::Chat => Self::Chat,
        }
    }

    /// Returns the channel of a message that was requested on this channel: an SMS with attachments is an MMS.
    #[must_use]
    pub const fn of_message(self, has_attachments: bool) -> Self {
        match self {
            Self::Sms if has_attachments => Self::Mms,
            Self::Sms | Self::Mms | Self::Email | Self::Chat => self,
        }
    }
}

text_enum! {
    /// Direction of a message.
    pub enum Direction {
        /// From the other side to us.
        Inbound = "inbound",
        /// From us to the other side.
        Outbound = "outbound",
    }
}

text_enum! {
    /// Author of a chat message.
    pub enum Role {
        /// The person.
        User = "user",
        /// The assistant that answers.
        Assistant = "assistant",
        /// Instructions and notes.
        System = "system",
    }
}

impl Role {
    /// Returns the direction: messages of the person are inbound, all others are outbound.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Self::User => Direction::Inbound,
            Self::Assistant | Self::System => Direction::Outbound,
        }
    }
}
