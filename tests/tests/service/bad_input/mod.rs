//! Everything that can be wrong with a request, and that all of it is said at once.

mod conversation_service;
mod event_service;
mod message_service;
mod ownership;
mod received;
mod sender_service;
mod simulator_service;
mod uploads;

use parlance_tests::{Caller, Rpc};
use prost_types::value::Kind as Json;
use prost_types::{Duration, Struct, Timestamp, Value};
use tonic::Code;

/// What is no id.
const NO_IDS: [&str; 7] = [
    "x",
    "1",
    "0190f5fe7c007a00b0000000000000001",
    "0190f5fe7c007a00b000000000000000",
    "{0190f5fe-7c00-7a00-b000-000000000000}",
    "0190f5fe-7c00-7a00-b000-00000000000g",
    "0190f5fe-7c00-7a00-b000-000000000000\0",
];

/// An id that nothing has.
const NOTHING: &str = "0190f5fe-7c00-7a00-b000-000000000000";

/// Each request is refused, with just these fields.
async fn walk<R: Rpc>(caller: &Caller, table: Vec<(R, Vec<&str>)>) {
    let mut wrong = Vec::new();
    for (request, fields) in table {
        let mut expected: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        expected.sort();
        let asked = shortened(&request);
        match caller.ask(request).await {
            Ok(reply) => wrong.push(format!("{asked}\n  is answered by {}", shortened(&reply))),
            Err(status) => {
                let refusal = parlance_tests::Refusal::of(&status);
                if refusal.why() != (Code::InvalidArgument, "INVALID_REQUEST")
                    || refusal.fields != expected
                {
                    wrong.push(format!("{asked}\n  expected {expected:?}, got {refusal:?}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Each request is taken.
async fn taken<R: Rpc>(caller: &Caller, table: Vec<R>) {
    let mut wrong = Vec::new();
    for request in table {
        let asked = shortened(&request);
        if let Err(status) = caller.ask(request).await {
            wrong.push(format!("{asked}\n  is answered by {status:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn shortened(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(600).collect()
}

fn long(characters: usize) -> String {
    "ä".repeat(characters)
}

/// Metadata whose JSON text has this many bytes.
fn metadata_of(bytes: usize) -> Struct {
    let text = "x".repeat(bytes - r#"{"a":""}"#.len());
    parlance_tests::make::json("a", &text)
}

/// Metadata that no JSON text can say, that no database can hold, or that is too much.
fn bad_metadata() -> Vec<Struct> {
    let of = |kind| parlance_tests::make::object([("a", kind)]);
    vec![
        metadata_of(16 * 1024 + 1),
        parlance_tests::make::nested(31),
        of(Json::NumberValue(f64::NAN)),
        of(Json::NumberValue(f64::INFINITY)),
        of(Json::NumberValue(f64::NEG_INFINITY)),
        of(Json::StringValue("a\0b".to_owned())),
        parlance_tests::make::json("na\0me", "text"),
        Struct {
            fields: [("a".to_owned(), Value { kind: None })].into(),
        },
    ]
}

/// What is no moment.
const NO_MOMENTS: [Timestamp; 4] = [
    Timestamp {
        seconds: -62_135_596_801,
        nanos: 0,
    },
    Timestamp {
        seconds: 253_402_300_800,
        nanos: 0,
    },
    Timestamp {
        seconds: 0,
        nanos: -1,
    },
    Timestamp {
        seconds: 0,
        nanos: 1_000_000_000,
    },
];

/// What is no span.
const NO_SPANS: [Duration; 5] = [
    Duration {
        seconds: 0,
        nanos: 0,
    },
    Duration {
        seconds: -1,
        nanos: 0,
    },
    Duration {
        seconds: 315_576_000_001,
        nanos: 0,
    },
    Duration {
        seconds: 1,
        nanos: -1,
    },
    Duration {
        seconds: 1,
        nanos: 1_000_000_000,
    },
];

/// What is no telephone number, short code or name.
const NO_PHONES: [&str; 12] = [
    "",
    "+",
    "+1555",
    "+155500000000000",
    "+0123456789",
    "+999123456789",
    "+1 555 000 0000",
    "12",
    "123456789",
    "(555) 000-0000",
    "Acme Incorporated",
    "+1555000\u{0}000",
];

/// What is no mail address.
const NO_MAILS: [&str; 9] = [
    "",
    "x",
    "a@",
    "@example.com",
    "a@localhost",
    "Bob <bob@example.com>",
    "a@127.0.0.1",
    "a b@example.com",
    "a@example.com\r\nBcc: b@example.com",
];
