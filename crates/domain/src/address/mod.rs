//! Addresses in canonical form: two texts for one place become one string, so that equality finds the conversation.
//!
//! What an address may be depends on the channel and on whose it is: ours may be a name that can only send, and so may be that
//! of whoever writes to us, but nobody can send to a name.

mod email;
mod error;
mod phone;
mod short;
#[cfg(test)]
mod tests;

pub use email::Email;
pub use error::AddressError;
pub use phone::{Phone, warm_up};
pub use short::{Alphanumeric, ShortCode};

use crate::Channel;

/// An address in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A telephone number.
    Phone(Phone),
    /// A short code.
    ShortCode(ShortCode),
    /// A name that text messages come from and that cannot be answered.
    Alphanumeric(Alphanumeric),
    /// A mail address.
    Email(Email),
}

impl Address {
    /// An address of ours: what messages leave from and arrive at.
    pub fn ours(channel: Channel, text: &str) -> Result<Self, AddressError> {
        Self::read(channel, text, Self::texting)
    }

    /// An address that a message is to go to.
    pub fn recipient(channel: Channel, text: &str) -> Result<Self, AddressError> {
        Self::read(channel, text, |text| match Self::texting(text)? {
            Self::Alphanumeric(_) => Err(AddressError::CannotReceive),
            address @ (Self::Phone(_) | Self::ShortCode(_) | Self::Email(_)) => Ok(address),
        })
    }

    /// An address that a message came from.
    pub fn origin(channel: Channel, text: &str) -> Result<Self, AddressError> {
        Self::read(channel, text, Self::texting)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.as_str(),
            Self::ShortCode(code) => code.as_str(),
            Self::Alphanumeric(name) => name.as_str(),
            Self::Email(email) => email.as_str(),
        }
    }

    fn read(
        channel: Channel,
        text: &str,
        texting: impl FnOnce(&str) -> Result<Self, AddressError>,
    ) -> Result<Self, AddressError> {
        match channel {
            Channel::Chat => Err(AddressError::Chat),
            _ if text.is_empty() => Err(AddressError::Empty),
            Channel::Sms | Channel::Mms => texting(text),
            Channel::Email => Email::parse(text).map(Self::Email),
        }
    }

    /// An address of SMS and MMS. The first look decides what it is meant to be, so that the error speaks of that.
    fn texting(text: &str) -> Result<Self, AddressError> {
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

/// Declares a text that only its own module can make.
macro_rules! canonical {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// The canonical text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(super) fn into_string(self) -> String {
                self.0
            }
        }
    };
}

use canonical;
