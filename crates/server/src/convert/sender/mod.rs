//! Requests and replies of `SenderService`.

mod create;
mod read;
mod show;
mod update;

pub(crate) use create::create;
pub(crate) use read::{delete, get, list};
pub(crate) use show::{list_to_proto, to_proto};
pub(crate) use update::update;

use parlance_domain::Channel;
use parlance_domain::address::Email;

use super::enums;
use super::fields::Violations;
use super::limits;

/// Reads a sender's channel. `None` if it is unset, or if it is invalid, which is recorded.
fn channel(violations: &mut Violations, field: &str, number: i32) -> Option<Channel> {
    let channel = enums::channel(violations, field, number)?;
    match channel {
        Channel::Sms | Channel::Email => Some(channel),
        Channel::Mms => {
            violations.push(field, "an SMS sender also sends MMS messages; use SMS");
            None
        }
        Channel::Chat => {
            violations.push(field, "chat has no senders; use SMS or EMAIL");
            None
        }
    }
}

fn check_provider(violations: &mut Violations, provider: &str) {
    violations.text("sender.provider", provider, limits::PROVIDER);
}

fn check_credentials(violations: &mut Violations, credentials: &str) {
    violations.text("sender.credentials", credentials, limits::CREDENTIALS);
}

fn check_rate(violations: &mut Violations, segments_per_second: i32) {
    violations.not_negative("sender.segments_per_second", segments_per_second.into());
}

/// Checks the id of a group of numbers, which becomes part of requests to the provider.
fn check_messaging_service(violations: &mut Violations, id: &str) {
    const FIELD: &str = "sender.messaging_service";
    if id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        violations.text(FIELD, id, limits::MESSAGING_SERVICE);
    } else {
        violations.push(FIELD, "not an id; use the provider's, such as MG...");
    }
}

/// Reads a domain into canonical form; empty for none. A domain is valid if an email address at it is.
fn reply_domain(violations: &mut Violations, domain: String) -> String {
    if domain.is_empty() {
        return domain;
    }
    let postmaster = Email::parse(&format!("postmaster@{domain}"));
    match postmaster {
        Ok(address) if !domain.contains('@') => address.domain().to_owned(),
        Ok(_) | Err(_) => {
            violations.push(
                "sender.reply_domain",
                "not a domain name; use one such as reply.example.com",
            );
            domain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    #[test]
    fn a_reply_domain_is_a_domain_name() {
        let read =
            |domain: &str| accepted(|violations| reply_domain(violations, domain.to_owned()));
        assert_eq!(read("Reply.Example.com"), "reply.example.com");
        assert_eq!(read(""), "");
        for domain in [
            "x",
            "a@example.com",
            "example.com ",
            "ex ample.com",
            "-",
            "a\0.com",
            "1.2.3.4",
        ] {
            let fields =
                violated_fields(|violations| _ = reply_domain(violations, domain.to_owned()));
            assert_eq!(fields, ["sender.reply_domain"], "{domain}");
        }
    }
}
