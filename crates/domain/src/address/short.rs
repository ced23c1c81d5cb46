//! The other two kinds of sender that text messages have: short codes and names.

use super::{AddressError, canonical};

canonical! {
    /// A short code: 3 to 8 digits. Five or six are usual, but every country cuts its own, and what arrives from a code has to
    /// be kept; the provider refuses to send to one that it does not know.
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
    /// A name that text messages come from: 1 to 11 characters (what GSM leaves room for) that providers let through, with a
    /// letter, or it would pass for a number. Upper and lower case stay, since that is how it is shown.
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
