//! Mail addresses: the domain in lower case and ASCII, the local part as it is, since only its own server knows whether case
//! matters. An internationalised domain and its punycode are one domain (UTS 46), and punycode is what mail servers are asked for.

use email_address::{EmailAddress, Error, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::{AddressError, canonical};

/// The longest address that fits the path of an SMTP command.
const MAX_BYTES: usize = 254;

canonical! {
    /// A mail address.
    Email
}

impl Email {
    /// Checks an address and brings it into canonical form.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.chars().any(char::is_control) {
            return Err(AddressError::ControlCharacter);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NotEmail)?;
        // Checked after the change, so that a canonical address is always one that passes. What is no domain is checked as it is,
        // which finds the better reason.
        let ascii = ascii_domain(domain);
        let canonical = match &ascii {
            Some(ascii) => format!("{local}@{ascii}"),
            None => format!("{local}@{}", domain.to_lowercase()),
        };
        if canonical.len() > MAX_BYTES {
            return Err(AddressError::EmailLength);
        }
        let options = Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        // A pair of angle brackets is the usual mistake, and has its own remedy.
        let bracketed = canonical.ends_with('>');
        let parsed = EmailAddress::parse_with_options(&canonical, options).map_err(|error| {
            if bracketed {
                AddressError::DisplayName
            } else {
                reason(&error)
            }
        })?;
        // The library takes ` <a@b.co>` for an address with an empty display name.
        if parsed.email() != canonical {
            return Err(AddressError::DisplayName);
        }
        if ascii.is_none() || !is_host_name(parsed.domain()) {
            return Err(AddressError::Domain);
        }
        Ok(Self(canonical))
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What stands after the `@`, in lower case and ASCII.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// The domain as mail servers know it. How long it may be is checked with the address.
fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::Ignore,
    );
    ascii.ok().map(std::borrow::Cow::into_owned)
}

/// The library lets a domain hold every sign that a local part may, and an IP address pass for a name.
fn is_host_name(domain: &str) -> bool {
    let top = domain.rsplit('.').next().unwrap_or_default();
    domain
        .chars()
        .all(|c| c.is_alphanumeric() || c == '-' || c == '.')
        && !top.bytes().all(|b| b.is_ascii_digit())
}

const fn reason(error: &Error) -> AddressError {
    match error {
        Error::LocalPartTooLong | Error::DomainTooLong | Error::SubDomainTooLong => {
            AddressError::EmailLength
        }
        Error::DomainEmpty
        | Error::SubDomainEmpty
        | Error::DomainTooFew
        | Error::DomainInvalidSeparator
        | Error::InvalidIPAddress
        | Error::UnsupportedDomainLiteral => AddressError::Domain,
        Error::UnsupportedDisplayName | Error::MissingDisplayName | Error::MissingEndBracket => {
            AddressError::DisplayName
        }
        Error::InvalidCharacter
        | Error::MissingSeparator
        | Error::LocalPartEmpty
        | Error::UnbalancedQuotes
        | Error::InvalidComment => AddressError::NotEmail,
    }
}
