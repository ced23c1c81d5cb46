//! Senders of text messages that are not phone numbers: short codes and names.

use super::AddressError;
use super::canonical::canonical;

canonical! {
    /// A short code: 3 to 8 digits. Five or six are usual, but lengths differ by country, and an inbound message from
    /// any code must be stored. The provider refuses to send to a code that it does not know.
    ShortCode
}

impl ShortCode {
    /// Checks a code.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let is_code = (3..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if is_code {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError::ShortCodeLength)
        }
    }
}

canonical! {
    /// A sender name: 1 to 11 characters (the GSM limit) that providers accept, with at least one letter, because
    /// otherwise it would be read as a number. Case is kept, because the name is displayed as given.
    Alphanumeric
}

impl Alphanumeric {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let is_name = (1..=11).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b" &-._".contains(&b))
            && text.bytes().any(|b| b.is_ascii_alphabetic())
            && !text.starts_with(' ')
            && !text.ends_with(' ');
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError::NotAlphanumeric)
        }
    }
}
