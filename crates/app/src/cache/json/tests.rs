//! Round trips of every value in the promised JSON form, and robustness against broken texts.

use parlance_domain::message::{Fault, Progress, ReportStatus};
use parlance_domain::{
    Attachment, AttachmentId, Channel, ConversationId, ConversationStatus, DeliveryPolicy,
    Direction, Json, MessageId, MessageStatus, Owner, Role, Timestamp,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

use super::scalar::{Scalar, TextScalar as _};
use super::*;

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

/// Texts with every kind of character, and empty ones.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,20}", any::<String>()]
}

fn owner() -> impl Strategy<Value = Owner> {
    "[!-~]{1,128}".prop_map(|name| Owner::parse(&name).unwrap())
}

/// JSON objects with blanks and numbers beyond Rust's types, and texts that are no objects.
fn data() -> impl Strategy<Value = Json> {
    let odd = select(vec![
        "{}",
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{ "n" : 1.0, "m":1e400,"o":-0,"p":123456789012345678901234567890.5 }"#,
        r#"{"a":"\u00e9\ud83d\ude00\"\\"}"#,
        " {}",
        "{} ",
        "[1]",
        "null",
        "\"text\"",
        "not json",
        "{",
        "",
    ]);
    let object = (text(), text()).prop_map(|(name, value)| {
        serde_json::Value::Object([(name, value.into())].into_iter().collect()).to_string()
    });
    prop_oneof![odd.prop_map(str::to_owned), object, text()].prop_map(Json::from_text)
}

fn attachment() -> impl Strategy<Value = Attachment> {
    (id(), text(), text(), any::<i64>(), option::of(text())).prop_map(
        |(id, filename, content_type, size_bytes, url)| Attachment {
            id: AttachmentId::from_uuid(id),
            filename,
            content_type,
            size_bytes,
            url,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    (text(), text(), text(), select(ReportStatus::ALL), time()).prop_map(
        |(code, message, provider_code, from, occurred_at)| Fault {
            code,
            message,
            provider_code,
            from,
            occurred_at,
        },
    )
}

fn progress() -> impl Strategy<Value = Progress> {
    (
        select(MessageStatus::ALL),
        any::<i32>(),
        option::of(fault()),
        option::of(time()),
        option::of(time()),
        option::of(time()),
    )
        .prop_map(
            |(status, attempt, error, sent_at, delivered_at, read_at)| Progress {
                status,
                attempt,
                error,
                sent_at,
                delivered_at,
                read_at,
            },
        )
}

pub(crate) fn a_message() -> impl Strategy<Value = Message> {
    let names = (id(), owner(), id(), any::<i64>());
    let kinds = (
        select(Channel::ALL),
        select(Direction::ALL),
        option::of(select(Role::ALL)),
        select(DeliveryPolicy::ALL),
        any::<bool>(),
    );
    let texts = (
        text(),
        text(),
        vec(text(), 0..3),
        text(),
        text(),
        text(),
        text(),
    );
    let way = (
        vec(attachment(), 0..3),
        option::of(text()),
        option::of(text()),
        progress(),
    );
    let numbers = (
        any::<i32>(),
        option::of(any::<i64>()),
        option::of(any::<i64>()),
        any::<i64>(),
        any::<i64>(),
    );
    let times = (option::of(time()), option::of(time()), time(), time());
    (names, kinds, texts, way, numbers, times, data()).prop_map(
        |(names, kinds, texts, way, numbers, times, metadata)| Message {
            id: MessageId::from_uuid(names.0),
            owner: names.1,
            conversation_id: ConversationId::from_uuid(names.2),
            sequence: names.3,
            channel: kinds.0,
            direction: kinds.1,
            role: kinds.2,
            from_address: texts.0,
            to_address: texts.1,
            cc_addresses: texts.2,
            subject: texts.3,
            body: texts.4,
            html_body: texts.5,
            quoted_body: texts.6,
            attachments: way.0,
            provider: way.1,
            provider_message_id: way.2,
            progress: way.3,
            segments: numbers.0,
            tokens_used: numbers.1,
            latency_ms: numbers.2,
            metadata,
            policy: kinds.3,
            counts_unread: kinds.4,
            send_at: times.0,
            expires_at: times.1,
            created_at: times.2,
            updated_at: times.3,
            version: numbers.3,
            edit_version: numbers.4,
        },
    )
}

pub(crate) fn a_conversation() -> impl Strategy<Value = Conversation> {
    let names = (id(), owner(), text(), option::of(text()));
    let kinds = (select(Channel::ALL), select(ConversationStatus::ALL));
    let texts = (text(), text(), text());
    let counts = any::<[i64; 6]>();
    let times = (option::of(time()), time(), time());
    (names, kinds, texts, counts, times, data()).prop_map(
        |(names, kinds, texts, counts, times, metadata)| Conversation {
            id: ConversationId::from_uuid(names.0),
            owner: names.1,
            user: names.2,
            channel: kinds.0,
            participant_from: texts.0,
            participant_to: texts.1,
            title: texts.2,
            status: kinds.1,
            external_id: names.3,
            last_sequence: counts[0],
            read_sequence: counts[1],
            message_count: counts[2],
            unread_count: counts[3],
            last_message_at: times.0,
            metadata,
            created_at: times.1,
            updated_at: times.2,
            version: counts[4],
            edit_version: counts[5],
        },
    )
}

/// Changes or removes a few bytes, or truncates the text.
fn broken(text: &[u8], damage: &[(Index, Option<u8>)], cut: Option<Index>) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for (at, byte) in damage {
        let at = at.index(bytes.len());
        match byte {
            Some(byte) => bytes[at] = *byte,
            None => {
                bytes.remove(at);
            }
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

fn damage() -> impl Strategy<Value = (Vec<(Index, Option<u8>)>, Option<Index>)> {
    (
        vec(any::<(Index, Option<u8>)>(), 1..4),
        any::<Option<Index>>(),
    )
}

proptest! {
    #[test]
    fn every_message_comes_back(value in a_message(), is_first: bool) {
        let text = message(&value);
        let beginning = format!("{{\"sequence\":{},", value.sequence);
        prop_assert!(text.starts_with(beginning.as_bytes()));
        prop_assert_eq!(parse_message(&text), Some(value.clone()));
        prop_assert_eq!(parse_element(&element(&value, is_first)), Some((value, is_first)));
    }

    #[test]
    fn every_conversation_comes_back(value in a_conversation()) {
        prop_assert_eq!(parse_conversation(&conversation(&value)), Some(value));
    }

    /// Whatever is parsed from a broken text is a valid value.
    #[test]
    fn broken_texts_are_harmless(value in a_message(), of in a_conversation(), (damage, cut) in damage()) {
        if let Some(found) = parse_message(&broken(&message(&value), &damage, cut)) {
            prop_assert_eq!(parse_message(&message(&found)), Some(found));
        }
        if let Some(found) = parse_conversation(&broken(&conversation(&of), &damage, cut)) {
            prop_assert_eq!(parse_conversation(&conversation(&found)), Some(found));
        }
    }

    #[test]
    fn arbitrary_bytes_are_harmless(bytes in vec(any::<u8>(), 0..200)) {
        let _ = (parse_message(&bytes), parse_conversation(&bytes));
    }
}

fn full_message() -> Message {
    let at = |seconds: i64| Timestamp::from_micros(1_700_000_000_123_456 + seconds * 1_000_000);
    let id = Uuid::from_u128(0x0192_f0c1_2345_7abc_8def_0123_4567_89ab);
    Message {
        id: MessageId::from_uuid(id),
        owner: Owner::default(),
        conversation_id: ConversationId::from_uuid(Uuid::from_u128(1)),
        sequence: 7,
        channel: Channel::Email,
        from_address: "us@example.com".to_owned(),
        to_address: "them@example.com".to_owned(),
        cc_addresses: vec!["also@example.com".to_owned()],
        subject: "A \"subject\"".to_owned(),
        body: "line\nline \u{e9}".to_owned(),
        attachments: vec![Attachment {
            id: AttachmentId::from_uuid(Uuid::from_u128(2)),
            filename: "a.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size_bytes: 4,
            url: None,
        }],
        provider: Some("sendgrid".to_owned()),
        provider_message_id: Some("abc".to_owned()),
        progress: Progress {
            status: MessageStatus::Failed,
            attempt: 2,
            error: Some(Fault {
                code: "SPAM".to_owned(),
                message: "refused".to_owned(),
                provider_code: String::new(),
                from: ReportStatus::Failed,
                occurred_at: at(2),
            }),
            sent_at: Some(at(1)),
            delivered_at: None,
            read_at: None,
        },
        segments: 0,
        tokens_used: Some(12),
        metadata: Json::from_text("{\"b\":1.0,\"a\":[]}".to_owned()),
        created_at: at(0),
        updated_at: at(2),
        version: 5,
        edit_version: 1,
        ..parlance_testkit::message()
    }
}

/// The field names are public: a change of this text is a change of the contract.
#[test]
fn the_json_of_a_message_is_stable() {
    let text = String::from_utf8(message(&full_message()).to_vec()).unwrap();
    let expected = concat!(
        r#"{"sequence":7,"id":"0192f0c1-2345-7abc-8def-0123456789ab","owner":"default","#,
        r#""conversation_id":"00000000-0000-0000-0000-000000000001","provider":"sendgrid","#,
        r#""provider_message_id":"abc","direction":"outbound","status":"failed","message_type":"email","#,
        r#""role":null,"from_address":"us@example.com","to_address":"them@example.com","#,
        r#""cc_addresses":["also@example.com"],"subject":"A \"subject\"","body":"line\nline é","#,
        r#""html_body":null,"quoted_body":null,"attachments":[{"id":"00000000-0000-0000-0000-000000000002","filename":"a.pdf","#,
        r#""content_type":"application/pdf","size_bytes":4,"url":null}],"error":{"code":"SPAM","#,
        r#""message":"refused","provider_code":null,"from":"failed","occurred_at":"2023-11-14T22:13:22.123456Z"},"#,
        r#""attempt":2,"segments":0,"tokens_used":12,"latency_ms":null,"policy":"at_least_once","#,
        r#""counts_unread":false,"send_at":null,"expires_at":null,"sent_at":"2023-11-14T22:13:21.123456Z","#,
        r#""delivered_at":null,"read_at":null,"created_at":"2023-11-14T22:13:20.123456Z","#,
        r#""updated_at":"2023-11-14T22:13:22.123456Z","version":5,"edit_version":1,"meta_data":{"b":1.0,"a":[]}}"#,
    );
    assert_eq!(text, expected);
    let element = String::from_utf8(element(&full_message(), true).to_vec()).unwrap();
    assert_eq!(element, expected.replace("[]}}", "[]},\"first\":true}"));
}

fn full_conversation() -> Conversation {
    let at = Timestamp::from_micros(1_700_000_000_000_001);
    Conversation {
        id: ConversationId::from_uuid(Uuid::from_u128(1)),
        owner: Owner::default(),
        user: String::new(),
        channel: Channel::Sms,
        participant_from: "+15550001111".to_owned(),
        participant_to: "+15550002222".to_owned(),
        title: "T".to_owned(),
        status: ConversationStatus::Active,
        external_id: None,
        last_sequence: 3,
        read_sequence: 1,
        message_count: 2,
        unread_count: 1,
        last_message_at: None,
        metadata: Json::default(),
        created_at: at,
        updated_at: at,
        version: 4,
        edit_version: 2,
    }
}

#[test]
fn the_json_of_a_conversation_is_stable() {
    let text = String::from_utf8(conversation(&full_conversation()).to_vec()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"id":"00000000-0000-0000-0000-000000000001","owner":"default","user":null,"#,
            r#""participant_from":"+15550001111","participant_to":"+15550002222","channel_type":"sms","#,
            r#""status":"active","external_id":null,"last_sequence":3,"read_sequence":1,"message_count":2,"#,
            r#""unread_count":1,"title":"T","last_message_at":null,"created_at":"2023-11-14T22:13:20.000001Z","#,
            r#""updated_at":"2023-11-14T22:13:20.000001Z","version":4,"edit_version":2,"meta_data":{}}"#,
        )
    );
}

/// The fields that other programs rely on.
#[test]
fn every_promised_field_is_present() {
    let of = |text: Bytes| serde_json::from_slice::<serde_json::Value>(&text).unwrap();
    let message = of(message(&full_message()));
    for field in [
        "id",
        "conversation_id",
        "provider",
        "provider_message_id",
        "direction",
        "status",
        "message_type",
        "from_address",
        "to_address",
        "body",
        "attachments",
        "sent_at",
        "delivered_at",
        "created_at",
        "updated_at",
        "meta_data",
    ] {
        assert!(message.get(field).is_some(), "{field}");
    }
    let conversation = of(conversation(&full_conversation()));
    for field in [
        "id",
        "participant_from",
        "participant_to",
        "channel_type",
        "status",
        "message_count",
        "unread_count",
        "title",
        "last_message_at",
        "created_at",
        "updated_at",
        "meta_data",
    ] {
        assert!(conversation.get(field).is_some(), "{field}");
    }
}

/// Removes each field in turn, and adds an unknown one.
fn check_fields(text: &[u8], is_read: impl Fn(&[u8]) -> bool) {
    let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).unwrap();
    for field in whole.keys() {
        let mut less = whole.clone();
        less.remove(field);
        assert!(!is_read(&serde_json::to_vec(&less).unwrap()), "{field}");
    }
    let mut more = whole;
    more.insert("of_tomorrow".to_owned(), serde_json::json!({"a": [1]}));
    assert!(is_read(&serde_json::to_vec(&more).unwrap()));
    let stamped = [b"{\"epoch\":12,", &text[1..]].concat();
    assert!(is_read(&stamped), "the epoch's stamp is ignored");
}

#[test]
fn missing_fields_are_rejected_and_unknown_ones_ignored() {
    check_fields(&message(&full_message()), |text| {
        parse_message(text).is_some()
    });
    check_fields(&conversation(&full_conversation()), |text| {
        parse_conversation(text).is_some()
    });
}

#[test]
fn times_have_the_form_of_protobuf_json() {
    for (micros, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00Z"),
        (1_700_000_000_123_000, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        (253_402_300_800_000_000, "+10000-01-01T00:00:00Z"),
        (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
        (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
    ] {
        let time = Timestamp::from_micros(micros);
        assert_eq!(Scalar(time).to_string(), text);
        assert_eq!(Timestamp::parse_text(text), Some(time));
    }
    for text in [
        "",
        "Z",
        "2023-02-29T00:00:00Z",
        "2023-11-14T24:13:20Z",
        "+294247-01-10T04:00:54.775808Z",
        "\u{1f600}",
    ] {
        assert_eq!(Timestamp::parse_text(text), None, "{text}");
    }
}

#[test]
fn foreign_texts_are_rejected() {
    let good = String::from_utf8(message(&full_message()).to_vec()).unwrap();
    for (from, to) in [
        ("\"email\"", "\"EMAIL\""),
        ("\"email\"", "\"fax\""),
        ("\"default\"", "\"a b\""),
        ("\"default\"", "null"),
        ("\"version\":5", "\"version\":\"5\""),
        ("\"version\":5", "\"version\":5.5"),
        ("\"version\":5", "\"version\":9223372036854775808"),
        ("{\"b\":1.0,\"a\":[]}", "[]"),
        ("{\"b\":1.0,\"a\":[]}", "7"),
        ("\"sequence\":7", "\"sequence\":7,\"sequence\":8"),
        ("22:13:20.123456Z", "24:13:20.123456Z"),
        ("-2345-7abc-", "23457abc"),
        ("]}}", "]}} x"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert_eq!(parse_message(bad.as_bytes()), None, "{to}");
    }
    for text in ["", "null", "{}", "[]", "{\"fence\":\"a\"}", "\u{feff}{}"] {
        assert_eq!(parse_message(text.as_bytes()), None);
        assert_eq!(parse_conversation(text.as_bytes()), None);
    }
    let deep = format!("{{\"sequence\":7,\"x\":{}", "[".repeat(200_000));
    assert_eq!(parse_message(deep.as_bytes()), None);
}
