//! Why a text is not an address.

/// What is wrong with an address, and what to do. Never shows the address itself: errors travel into logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// An address on a channel without any.
    #[error("chat has no addresses; leave the address out")]
    Chat,
    /// Nothing.
    #[error("the address is empty; give one")]
    Empty,
    /// Not `+` and digits.
    #[error(
        "not an international phone number; write + and the country code, then digits only, such as +14155550100"
    )]
    NotE164,
    /// A calling code that no country has.
    #[error("no country has this calling code; check the digits after the +")]
    UnknownCountry,
    /// Too many digits, or too few.
    #[error(
        "no number of this country has that many digits; check for missing or extra ones, such as a trunk 0 after the country code"
    )]
    NumberLength,
    /// Digits alone, and not as many as a short code has.
    #[error(
        "a short code has 3 to 8 digits; write a longer number with + and the country code, such as +14155550100"
    )]
    ShortCodeLength,
    /// Letters, and not a sender name.
    #[error(
        "neither a phone number such as +14155550100 nor a sender name: that has 1 to 11 letters of a to z, digits, spaces or & - . _, at least one letter, and no space at either end"
    )]
    NotAlphanumeric,
    /// A sender name as recipient.
    #[error("a sender name cannot receive messages; give a phone number such as +14155550100")]
    CannotReceive,
    /// Not a mail address at all.
    #[error("not a mail address; write name@example.com")]
    NotEmail,
    /// A name beside the address.
    #[error(
        "a mail address goes without a display name and angle brackets; write name@example.com"
    )]
    DisplayName,
    /// A domain that mail cannot be sent to from everywhere.
    #[error("the part after the @ is not a full domain name; write one such as example.com")]
    Domain,
    /// Too long for mail.
    #[error(
        "the mail address is too long; at most 254 bytes in all, 64 before the @ and 63 between two dots"
    )]
    EmailLength,
    /// A character that could break a header.
    #[error("the address has a control character; remove it")]
    ControlCharacter,
}
