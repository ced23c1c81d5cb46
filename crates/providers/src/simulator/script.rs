//! How the simulator behaves: as the recipient's address asks.

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It is delivered.
    Delivered,
    /// It is taken, and then cannot be delivered.
    Undelivered,
    /// It is refused: the recipient has opted out.
    OptedOut,
    /// It is refused: there is no such recipient.
    Invalid,
    /// It is taken, but the answer is lost; it is delivered all the same.
    AnswerLost,
    /// It is put off once, then taken.
    Busy,
}

/// An address with a behaviour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MagicRecipient {
    /// The number.
    pub phone: &'static str,
    /// The part before the `@`, at any domain.
    pub mailbox: &'static str,
    /// What happens to it.
    pub behaviour: Behaviour,
}

/// The addresses with a behaviour of their own; the README shows the same table.
pub const MAGIC_RECIPIENTS: [MagicRecipient; 5] = [
    MagicRecipient {
        phone: "+15005550001",
        mailbox: "undelivered",
        behaviour: Behaviour::Undelivered,
    },
    MagicRecipient {
        phone: "+15005550002",
        mailbox: "opted-out",
        behaviour: Behaviour::OptedOut,
    },
    MagicRecipient {
        phone: "+15005550003",
        mailbox: "timeout",
        behaviour: Behaviour::AnswerLost,
    },
    MagicRecipient {
        phone: "+15005550004",
        mailbox: "busy",
        behaviour: Behaviour::Busy,
    },
    MagicRecipient {
        phone: "+15005550005",
        mailbox: "invalid",
        behaviour: Behaviour::Invalid,
    },
];

impl Behaviour {
    /// What an address asks for.
    pub fn of(to: &str) -> Self {
        let mailbox = to.split_once('@').map(|(mailbox, _)| mailbox);
        let asked = MAGIC_RECIPIENTS
            .iter()
            .find(|magic| to == magic.phone || mailbox == Some(magic.mailbox));
        asked.map_or(Self::Delivered, |magic| magic.behaviour)
    }
}
