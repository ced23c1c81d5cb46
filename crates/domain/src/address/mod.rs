//! Addresses in canonical form: two spellings of one address become one string, so that a string comparison finds the
//! conversation.
//!
//! Which addresses are valid depends on the channel and on the role. Our own addresses and the origins of inbound
//! messages may be sender names, which can only send. A recipient must not be a sender name.

mod canonical;
mod email;
mod error;
mod phone;
mod short;
#[cfg(test)]
mod tests;

pub use email::Email;
pub use error::AddressError;
pub use phone::Phone;
pub use short::{Alphanumeric, ShortCode};

use crate::Channel;

/// An address in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A telephone number.
    Phone(Phone),
    /// A short code.
    ShortCode(ShortCode),
    /// A sender name: text messages can come from it but cannot be sent to it.
    Alphanumeric(Alphanumeric),
    /// A mail address.
    Email(Email),
}

impl Address {
    /// Parses an address of ours, which messages are sent from and arrive at.
    pub fn ours(channel: Channel, text: &str) -> Result<Self, AddressError> {
        Self::parse(channel, text, Self::parse_sms)
    }

    /// Parses the recipient of an outbound message.
    pub fn recipient(channel: Channel, text: &str) -> Result<Self, AddressError> {
        Self::parse(channel, text, |text| match Self::parse_sms(text)? {
            Self::Alphanumeric(_) => Err(AddressError::CannotReceive),
            address @ (Self::Phone(_) | Self::ShortCode(_) | Self::Email(_)) => Ok(address),
        })
    }

    /// Parses the address that an inbound message came from.
    pub fn origin(channel: Channel, text: &str) -> Result<Self, AddressError> {
        Self::parse(channel, text, Self::parse_sms)
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.as_str(),
            Self::ShortCode(code) => code.as_str(),
            Self::Alphanumeric(name) => name.as_str(),
            Self::Email(email) => email.as_str(),
        }
    }

    fn parse(
        channel: Channel,
        text: &str,
        parse_sms: impl FnOnce(&str) -> Result<Self, AddressError>,
    ) -> Result<Self, AddressError> {
        match channel {
            Channel::Chat => Err(AddressError::Chat),
            _ if text.is_empty() => Err(AddressError::Empty),
            Channel::Sms | Channel::Mms => parse_sms(text),
            Channel::Email => Email::parse(text).map(Self::Email),
        }
    }

    /// Parses an address of SMS and MMS. The first character decides the kind, so that the error refers to that kind.
    fn parse_sms(text: &str) -> Result<Self, AddressError> {
        if text.starts_with('+') {
            Phone::parse(text).map(Self::Phone)
        } else if text.bytes().all(|b| b.is_ascii_digit()) {
            ShortCode::parse(text).map(Self::ShortCode)
        } else if text.contains(char::is_alphabetic) {
            Alphanumeric::parse(text).map(Self::Alphanumeric)
        } else {
            Err(AddressError::NotE164)
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        match address {
            Address::Phone(phone) => phone.into_string(),
            Address::ShortCode(code) => code.into_string(),
            Address::Alphanumeric(name) => name.into_string(),
            Address::Email(email) => email.into_string(),
        }
    }
}
