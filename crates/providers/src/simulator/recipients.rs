//! Behaviours of the simulator, selected by the recipient's address.

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Delivered.
    Delivered,
    /// Accepted, then undeliverable.
    Undelivered,
    /// Refused: the recipient has opted out.
    OptedOut,
    /// Refused: the recipient does not exist.
    Invalid,
    /// Accepted and delivered, but the response is lost.
    AnswerLost,
    /// Deferred once, then accepted.
    Busy,
}

/// Recipient address with a special behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MagicRecipient {
    /// Phone number.
    pub phone: &'static str,
    /// Local part of a mail address, at any domain.
    pub mailbox: &'static str,
    /// What happens to a message to it.
    pub behaviour: Behaviour,
}

/// Recipient addresses with a special behaviour. The README shows the same table.
pub const MAGIC_RECIPIENTS: [MagicRecipient; 5] = [
    MagicRecipient {
        phone: "+15005550101",
        mailbox: "undelivered",
        behaviour: Behaviour::Undelivered,
    },
    MagicRecipient {
        phone: "+15005550102",
        mailbox: "opted-out",
        behaviour: Behaviour::OptedOut,
    },
    MagicRecipient {
        phone: "+15005550103",
        mailbox: "timeout",
        behaviour: Behaviour::AnswerLost,
    },
    MagicRecipient {
        phone: "+15005550104",
        mailbox: "busy",
        behaviour: Behaviour::Busy,
    },
    MagicRecipient {
        phone: "+15005550105",
        mailbox: "invalid",
        behaviour: Behaviour::Invalid,
    },
];

impl Behaviour {
    /// Returns the behaviour of a recipient address.
    pub fn of(to: &str) -> Self {
        let mailbox = to.split_once('@').map(|(mailbox, _)| mailbox);
        let magic = MAGIC_RECIPIENTS
            .iter()
            .find(|magic| to == magic.phone || mailbox == Some(magic.mailbox));
        magic.map_or(Self::Delivered, |magic| magic.behaviour)
    }
}
