//! Mail addresses. The domain is stored in lower case and ASCII; the local part keeps its case, because only the
//! receiving server knows whether case matters. An internationalised domain and its punycode form are one domain (UTS
//! 46). Mail servers are looked up by the punycode form.

use email_address::{EmailAddress, Error, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::AddressError;
use super::canonical::canonical;

/// The longest address that fits the path of an SMTP command.
const MAX_BYTES: usize = 254;

canonical! {
    /// A mail address.
    Email
}

impl Email {
    /// Checks an address and converts it to canonical form.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.chars().any(char::is_control) {
            return Err(AddressError::ControlCharacter);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NotEmail)?;
        // The canonical form is what is checked, so a canonical address always passes again. A domain that cannot be
        // converted is checked as given, which yields the more precise reason.
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
        // Angle brackets are the most common mistake and get their own error.
        let bracketed = canonical.ends_with('>');
        let parsed = EmailAddress::parse_with_options(&canonical, options).map_err(|error| {
            if bracketed {
                AddressError::DisplayName
            } else {
                reason(&error)
            }
        })?;
        // The library parses ` <a@b.co>` as an address with an empty display name.
        if parsed.email() != canonical {
            return Err(AddressError::DisplayName);
        }
        if ascii.is_none() || !is_host_name(parsed.domain()) {
            return Err(AddressError::Domain);
        }
        Ok(Self(canonical))
    }

    /// Returns the part before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// Returns the part after the `@`, in lower case and ASCII.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Converts a domain to ASCII (punycode). Its length is checked together with the whole address.
fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::Ignore,
    );
    ascii.ok().map(std::borrow::Cow::into_owned)
}

/// Whether the domain is a host name. The library allows every character of a local part in a domain, and allows IP
/// addresses.
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
