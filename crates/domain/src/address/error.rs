//! Reasons why a text is not a valid address.

/// Error in an address and its remedy. Never contains the address itself, because errors reach logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Address given for a channel that has no addresses.
    #[error("chat has no addresses; leave the address out")]
    Chat,
    /// Empty text.
    #[error("the address is empty; give one")]
    Empty,
    /// Not `+` followed by digits.
    #[error(
        "not an international phone number; write + and the country code, then digits only, such as +14155550100"
    )]
    NotE164,
    /// `+` and digits, but fewer or more than any number has.
    #[error(
        "an international phone number has 7 to 15 digits after the +; check for missing or extra ones"
    )]
    E164Length,
    /// Calling code that no country uses.
    #[error("no country has this calling code; check the digits after the +")]
    UnknownCountry,
    /// Wrong number of digits for the country.
    #[error(
        "no number of this country has that many digits; check for missing or extra ones, such as a trunk 0 after the country code"
    )]
    NumberLength,
    /// Digits only, but not as many as a short code has.
    #[error(
        "a short code has 3 to 8 digits; write a longer number with + and the country code, such as +14155550100"
    )]
    ShortCodeLength,
    /// Contains letters but is not a valid sender name.
    #[error(
        "neither a phone number such as +14155550100 nor a sender name: that has 1 to 11 letters of a to z, digits, spaces or & - . _, at least one letter, and no space at either end"
    )]
    NotAlphanumeric,
    /// Sender name used as a recipient.
    #[error("a sender name cannot receive messages; give a phone number such as +14155550100")]
    CannotReceive,
    /// Not a mail address.
    #[error("not a mail address; write name@example.com")]
    NotEmail,
    /// Display name or angle brackets around the address.
    #[error(
        "a mail address must not have a display name or angle brackets; write name@example.com"
    )]
    DisplayName,
    /// Domain that is not a full host name.
    #[error("the part after the @ is not a full domain name; write one such as example.com")]
    Domain,
    /// Longer than mail allows.
    #[error(
        "the mail address is too long; at most 254 bytes in all, 64 before the @ and 63 between two dots"
    )]
    EmailLength,
    /// Control character, which could break a header.
    #[error("the address has a control character; remove it")]
    ControlCharacter,
}
