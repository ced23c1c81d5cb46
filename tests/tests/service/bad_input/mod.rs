//! Validation: every invalid field of a request is reported, all in one response.

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

/// Texts that are no ids.
const INVALID_IDS: [&str; 7] = [
    "x",
    "1",
    "0190f5fe7c007a00b0000000000000001",
    "0190f5fe7c007a00b000000000000000",
    "{0190f5fe-7c00-7a00-b000-000000000000}",
    "0190f5fe-7c00-7a00-b000-00000000000g",
    "0190f5fe-7c00-7a00-b000-000000000000\0",
];

/// A valid id of no record.
const UNKNOWN_ID: &str = "0190f5fe-7c00-7a00-b000-000000000000";

/// Asserts that each request is rejected with exactly these invalid fields.
async fn assert_rejected<R: Rpc>(caller: &Caller, table: Vec<(R, Vec<&str>)>) {
    let mut failures = Vec::new();
    for (request, fields) in table {
        let mut expected: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        expected.sort();
        let request_text = shortened(&request);
        match caller.call(request).await {
            Ok(reply) => failures.push(format!(
                "{request_text}\n  succeeded with {}",
                shortened(&reply)
            )),
            Err(status) => {
                let refusal = parlance_tests::Refusal::of(&status);
                if refusal.code_and_reason() != (Code::InvalidArgument, "INVALID_REQUEST")
                    || refusal.fields != expected
                {
                    failures.push(format!(
                        "{request_text}\n  expected {expected:?}, got {refusal:?}"
                    ));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} requests:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Asserts that each request is accepted.
async fn assert_accepted<R: Rpc>(caller: &Caller, table: Vec<R>) {
    let mut failures = Vec::new();
    for request in table {
        let request_text = shortened(&request);
        if let Err(status) = caller.call(request).await {
            failures.push(format!("{request_text}\n  failed with {status:?}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} requests:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn shortened(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(600).collect()
}

fn long(characters: usize) -> String {
    "ä".repeat(characters)
}

/// Metadata with a JSON text of this many bytes.
fn metadata_of(bytes: usize) -> Struct {
    let text = "x".repeat(bytes - r#"{"a":""}"#.len());
    parlance_tests::make::json("a", &text)
}

/// Metadata that JSON cannot represent, that a database cannot store, or that is too large.
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

/// Invalid timestamps.
const INVALID_TIMESTAMPS: [Timestamp; 4] = [
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

/// Invalid durations.
const INVALID_DURATIONS: [Duration; 5] = [
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

/// Texts that are no telephone numbers, short codes or alphanumeric senders.
const INVALID_PHONES: [&str; 12] = [
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

/// Texts that are no mail addresses.
const INVALID_MAIL_ADDRESSES: [&str; 9] = [
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
