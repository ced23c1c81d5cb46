//! Tests of address parsing: valid and invalid texts per role and channel, and the canonical form.

use proptest::prelude::*;

use super::AddressError::{
    CannotReceive, Chat, ControlCharacter, DisplayName, Domain, E164Length, EmailLength, Empty,
    NotAlphanumeric, NotE164, NotEmail, NumberLength, ShortCodeLength, UnknownCountry,
};
use super::*;

/// A constructor of [`Address`].
type Parse = fn(Channel, &str) -> Result<Address, AddressError>;

const PARSERS: [Parse; 3] = [Address::ours, Address::recipient, Address::origin];

#[test]
fn numbers_that_are_accepted_everywhere() {
    for text in [
        "+15550001111",
        "+15551234567",
        "+14155550100",
        "+447700900123",
        "+4915112345678",
        "+390236618300",
        "+80012345678",
        "+6834002",
        "+8613812345678",
    ] {
        for parse in PARSERS {
            for channel in [Channel::Sms, Channel::Mms] {
                let address = parse(channel, text);
                assert!(
                    matches!(address, Ok(Address::Phone(_))),
                    "{text}: {address:?}"
                );
                assert_eq!(address.unwrap().as_str(), text);
            }
        }
    }
}

#[test]
fn numbers_that_are_refused_as_a_recipient() {
    for (text, error) in [
        ("", Empty),
        ("+", NotE164),
        ("+1555", E164Length),
        ("+49301", E164Length),
        ("+442", E164Length),
        ("+0123456789", NotE164),
        ("+1415555267a", NotE164),
        ("+1 415 555 2671", NotE164),
        (" +14155552671", NotE164),
        ("+1415555267\u{0661}", NotE164),
        ("+1415555267\0", NotE164),
        ("++14155552671", NotE164),
        ("+1234567890123456", E164Length),
        ("415 555 2671", NotE164),
        ("(415) 555-2671", NotE164),
        ("+999123456789", UnknownCountry),
        ("+2101234567", UnknownCountry),
        ("+141555501000", NumberLength),
        ("+1415555010", NumberLength),
        ("+4407700900123", NumberLength),
        ("4155552671", ShortCodeLength),
        ("12", ShortCodeLength),
        ("ACME", CannotReceive),
        ("1-800-FLOWERS", NotAlphanumeric),
        ("ana@example.com", NotAlphanumeric),
    ] {
        assert_eq!(Address::recipient(Channel::Sms, text), Err(error), "{text}");
    }
}

#[test]
fn short_codes_send_and_receive_but_names_only_send() {
    for parse in PARSERS {
        for text in ["123", "7726", "40404", "123456", "12345678"] {
            let address = parse(Channel::Sms, text);
            assert!(
                matches!(address, Ok(Address::ShortCode(_))),
                "{text}: {address:?}"
            );
        }
        assert_eq!(parse(Channel::Sms, "123456789"), Err(ShortCodeLength));
    }
    for text in [
        "ACME",
        "Booking.com",
        "H&M",
        "My Bank",
        "A",
        "7-Eleven",
        "24_7x",
    ] {
        for parse in [Address::ours, Address::origin] {
            let address = parse(Channel::Sms, text);
            assert!(
                matches!(address, Ok(Address::Alphanumeric(_))),
                "{text}: {address:?}"
            );
            assert_eq!(address.unwrap().to_string(), text);
        }
        assert_eq!(
            Address::recipient(Channel::Sms, text),
            Err(CannotReceive),
            "{text}"
        );
    }
    for text in [
        "1-800-FLOWERS",
        "TwelveChars!",
        "Z\u{fc}rich",
        " ACME",
        "ACME ",
        "A\nB",
        "Ltd;",
        "A@B",
    ] {
        assert_eq!(
            Address::ours(Channel::Sms, text),
            Err(NotAlphanumeric),
            "{text}"
        );
    }
}

#[test]
fn mail_addresses_and_their_canonical_form() {
    for (text, canonical) in [
        ("ana@example.com", "ana@example.com"),
        ("Ana.Lopez+x@Example.COM", "Ana.Lopez+x@example.com"),
        ("a@sub.b-c.co", "a@sub.b-c.co"),
        ("\"a b\"@example.com", "\"a b\"@example.com"),
        ("\"a@b\"@example.com", "\"a@b\"@example.com"),
        (
            "jos\u{e9}@B\u{dc}CHER.example",
            "jos\u{e9}@xn--bcher-kva.example",
        ),
        (
            "ana@bu\u{308}cher\u{3002}example",
            "ana@xn--bcher-kva.example",
        ),
        ("ana@XN--BCHER-KVA.example", "ana@xn--bcher-kva.example"),
        ("ana@fa\u{df}.example", "ana@xn--fa-hia.example"),
        ("ana@\u{ff45}xample.com", "ana@example.com"),
        (
            "o'hara@xn--bcher-kva.example",
            "o'hara@xn--bcher-kva.example",
        ),
    ] {
        for parse in PARSERS {
            let address = parse(Channel::Email, text);
            assert_eq!(
                address.as_ref().map(Address::as_str),
                Ok(canonical),
                "{text}"
            );
        }
    }
    let Ok(Address::Email(email)) = Address::ours(Channel::Email, "\"a@b\"@Example.com") else {
        panic!("a quoted local part may hold an @");
    };
    assert_eq!(
        (email.local_part(), email.domain()),
        ("\"a@b\"", "example.com")
    );
}

#[test]
fn mail_addresses_that_are_refused() {
    let long_local = format!("{}@example.com", "a".repeat(65));
    let long_label = format!("a@{}.com", "b".repeat(64));
    let long = format!("a@{}com", "b23456789.".repeat(25));
    assert_eq!(long.len(), 255);
    assert!(
        Address::recipient(Channel::Email, &long.replace("23456789.com", "3456789.com")).is_ok()
    );
    for (text, error) in [
        ("", Empty),
        ("ana", NotEmail),
        ("@example.com", NotEmail),
        ("a b@example.com", NotEmail),
        (" ana@example.com", NotEmail),
        ("a@b@example.com", NotEmail),
        ("a..b@example.com", NotEmail),
        ("ana@", Domain),
        ("ana@localhost", Domain),
        ("ana@example..com", Domain),
        ("ana@example.com.", Domain),
        ("ana@[127.0.0.1]", Domain),
        ("ana@127.0.0.1", Domain),
        ("ana@exam_ple.com", Domain),
        ("ana@exa$mple.com", Domain),
        ("ana@-example.com", NotEmail),
        ("Ana <ana@example.com>", DisplayName),
        (" <ana@example.com>", DisplayName),
        ("<ana@example.com>", DisplayName),
        ("ana@example.com\r\nBcc: eve@example.com", ControlCharacter),
        ("ana\0@example.com", ControlCharacter),
        ("\"a\tb\"@example.com", ControlCharacter),
        (long_local.as_str(), EmailLength),
        (long_label.as_str(), EmailLength),
        (long.as_str(), EmailLength),
    ] {
        assert_eq!(
            Address::recipient(Channel::Email, text),
            Err(error),
            "{text:?}"
        );
    }
}

#[test]
fn chat_has_no_addresses() {
    for parse in PARSERS {
        assert_eq!(parse(Channel::Chat, "+14155550100"), Err(Chat));
        assert_eq!(parse(Channel::Chat, ""), Err(Chat));
    }
}

proptest! {
    #[test]
    fn parsing_never_panics_and_is_idempotent(text in "\\PC{0,24}|[+0-9]{0,17}|[a-zA-Z.\"]{1,6}@[a-zA-Z\u{130}.-]{1,12}") {
        for parse in PARSERS {
            for &channel in Channel::ALL {
                if let Ok(address) = parse(channel, &text) {
                    prop_assert_eq!(parse(channel, address.as_str()), Ok(address.clone()));
                    prop_assert_eq!(address.to_string(), String::from(address));
                }
            }
        }
    }
}
