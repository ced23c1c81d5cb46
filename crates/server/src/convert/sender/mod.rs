//! Senders.

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
use super::fields::Found;
use super::limits;

/// A sender's channel; `None` if it is not set, or wrong and noted.
fn channel(found: &mut Found, field: &str, number: i32) -> Option<Channel> {
    let channel = enums::channel(found, field, number)?;
    match channel {
        Channel::Sms | Channel::Email => Some(channel),
        Channel::Mms => {
            found.push(field, "an SMS sender sends MMS messages, too; give SMS");
            None
        }
        Channel::Chat => {
            found.push(field, "chat has no senders; give SMS or EMAIL");
            None
        }
    }
}

/// The names of provider and credentials, which the configuration must know.
fn check_provider(found: &mut Found, provider: &str) {
    found.text("sender.provider", provider, limits::PROVIDER);
}

fn check_credentials(found: &mut Found, credentials: &str) {
    found.text("sender.credentials", credentials, limits::CREDENTIALS);
}

fn check_rate(found: &mut Found, segments_per_second: i32) {
    found.not_negative("sender.segments_per_second", segments_per_second.into());
}

/// A domain in canonical form; empty for none. It is one if there can be mail addresses at it.
fn reply_domain(found: &mut Found, domain: String) -> String {
    if domain.is_empty() {
        return domain;
    }
    let at_it = Email::parse(&format!("postmaster@{domain}"));
    match at_it {
        Ok(address) if !domain.contains('@') => address.domain().to_owned(),
        Ok(_) | Err(_) => {
            found.push(
                "sender.reply_domain",
                "not a domain name; write one such as reply.example.com",
            );
            domain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{fields_of, seen};

    #[test]
    fn a_reply_domain_is_a_domain_name() {
        let read = |domain: &str| seen(|found| reply_domain(found, domain.to_owned()));
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
            let fields = fields_of(|found| _ = reply_domain(found, domain.to_owned()));
            assert_eq!(fields, ["sender.reply_domain"], "{domain}");
        }
    }
}
