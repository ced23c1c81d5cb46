//! Every field that is written is read back unchanged.

use std::time::Duration;

use parlance_domain::message::{Fault, Progress, ReportStatus};
use parlance_domain::{
    Attachment, Channel, Conversation, ConversationStatus, DeliveryPolicy, Direction, EventType,
    Json, Message, MessageStatus, Role, Sender, SenderStatus, Timestamp,
};
use parlance_storage::Guarded;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::write::{append_uncommitted, update_message};
use crate::support::{Db, at, attachment, committed, conversation, message, open, owner, sender};

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: the range of the API's timestamps.
const FIRST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// Metadata in the form in which both databases return its text: no spaces, keys as `jsonb` orders them.
fn metadata() -> Json {
    Json::from_text(r#"{"a":[1,null,{"ä":"🦀\n"}],"zz":1.5}"#.to_owned())
}

const STRANGE: &str = "a\u{1}'\"\\%_\r\n\u{202e}é🦀\u{10ffff}";

fn rich(of: &Conversation) -> Message {
    Message {
        channel: Channel::Mms,
        direction: Direction::Inbound,
        role: Some(Role::Assistant),
        from_address: STRANGE.to_owned(),
        to_address: "b@example.com".to_owned(),
        cc_addresses: vec![String::new(), STRANGE.to_owned(), "[]".to_owned()],
        subject: STRANGE.to_owned(),
        body: STRANGE.repeat(50),
        html_body: "<p>&amp;</p>".to_owned(),
        quoted_body: STRANGE.to_owned(),
        attachments: vec![
            Attachment {
                size_bytes: i64::MAX,
                filename: STRANGE.to_owned(),
                ..attachment()
            },
            Attachment {
                url: Some("https://example.com/ä?b=c".to_owned()),
                ..attachment()
            },
        ],
        provider: Some("simulator".to_owned()),
        provider_message_id: Some(STRANGE.to_owned()),
        progress: Progress {
            status: MessageStatus::Undelivered,
            attempt: i32::MAX,
            error: Some(Fault {
                code: "UNREACHABLE".to_owned(),
                message: STRANGE.to_owned(),
                provider_code: String::new(),
                from: ReportStatus::Undelivered,
                occurred_at: FIRST,
            }),
            sent_at: Some(FIRST),
            delivered_at: Some(LAST),
            read_at: Some(Timestamp::from_micros(-1)),
        },
        segments: i32::MIN,
        tokens_used: Some(i64::MAX),
        latency_ms: Some(i64::MIN),
        metadata: metadata(),
        policy: DeliveryPolicy::AtMostOnce,
        counts_unread: true,
        send_at: Some(Timestamp::from_micros(0)),
        expires_at: Some(LAST),
        created_at: FIRST,
        updated_at: LAST,
        version: i64::MAX,
        edit_version: i64::MIN,
        ..message(of)
    }
}

on_both! {
    async fn a_message_full_and_empty(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let mut stored = Vec::new();
        for (sequence, make) in [(1, rich as fn(&Conversation) -> Message), (i64::MAX, message)] {
            target.last_sequence = sequence;
            let new = make(&target);
            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            tx.insert_message(&new, &target).await.unwrap();
            assert_eq!(tx.message(new.id).await.unwrap().as_ref(), Some(&new));
            committed(tx).await;
            assert_eq!(db.open.message(&owner, new.id).await.unwrap().as_ref(), Some(&new));
            stored.push(new);
        }
        let found = db.open.message_by_provider_id(&owner, "simulator", STRANGE).await.unwrap();
        assert_eq!(found.as_ref(), Some(&stored[0]));
    }

    /// Every field that an update can change is changed, to a value and back to none, and no other field is.
    async fn a_message_written_back(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let first = append_uncommitted(&mut tx, target.id).await.unwrap();
        let full = rich(&target);
        let changed = Message {
            body: full.body, provider: full.provider, provider_message_id: full.provider_message_id,
            progress: full.progress, segments: full.segments, metadata: full.metadata, send_at: full.send_at,
            expires_at: full.expires_at, updated_at: full.updated_at, edit_version: full.edit_version, version: 2,
            ..first.clone()
        };
        let emptied = Message { version: 3, ..first.clone() };
        for (before, after) in [(&first, &changed), (&changed, &emptied)] {
            let done = update_message(&mut tx, before, after, EventType::MessageUpdated, "ada").await.unwrap();
            assert_eq!(done, Guarded::Updated);
            assert_eq!(tx.message(first.id).await.unwrap().as_ref(), Some(after));
        }
        committed(tx).await;
    }

    async fn a_conversation_full_empty_and_written_back(db: Db) {
        let owner = owner("acme");
        let empty = Conversation {
            user: String::new(), channel: Channel::Chat, participant_from: String::new(),
            participant_to: String::new(), title: String::new(), ..conversation(&owner)
        };
        let full = Conversation {
            user: STRANGE.to_owned(), channel: Channel::Email, participant_from: STRANGE.to_owned(),
            participant_to: "b@example.com".to_owned(), title: STRANGE.to_owned(),
            status: ConversationStatus::Archived, external_id: Some(STRANGE.to_owned()), last_sequence: i64::MAX,
            read_sequence: i64::MAX - 1, message_count: i64::MAX, unread_count: 1, last_message_at: Some(LAST),
            metadata: metadata(), created_at: FIRST, updated_at: LAST, version: i64::MAX, edit_version: i64::MIN,
            ..conversation(&owner)
        };
        for new in [&empty, &full] {
            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            assert!(tx.insert_conversation(new).await.unwrap());
            committed(tx).await;
            assert_eq!(db.open.conversation(&owner, new.id).await.unwrap().as_ref(), Some(new));
        }
        let by_name = db.open.conversation_by_external_id(&owner, STRANGE).await.unwrap();
        assert_eq!(by_name.as_ref(), Some(&full));

        // The address of a conversation never changes, everything else may.
        let changed = Conversation {
            id: empty.id, channel: empty.channel, participant_from: String::new(), participant_to: String::new(),
            external_id: Some("other".to_owned()), created_at: empty.created_at, version: 2, ..full
        };
        let emptied = Conversation { version: 3, ..empty.clone() };
        for (before, after) in [(&empty, &changed), (&changed, &emptied)] {
            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            assert_eq!(tx.update_conversation(before, after, true).await.unwrap(), Guarded::Updated);
            committed(tx).await;
            assert_eq!(db.open.conversation(&owner, empty.id).await.unwrap().as_ref(), Some(after));
        }
    }

    async fn a_sender_full_empty_and_written_back(db: Db) {
        let owner = owner("acme");
        let empty = sender(&owner);
        let full = Sender {
            channel: Channel::Email, address: STRANGE.to_owned(), provider: STRANGE.to_owned(),
            credentials: STRANGE.to_owned(), status: SenderStatus::Paused, segments_per_second: i32::MAX,
            default_expiry: Some(Duration::from_micros(1)), reply_domain: "example.com".to_owned(),
            messaging_service: "MG1".to_owned(),
            created_at: FIRST, updated_at: LAST, version: i64::MAX, ..sender(&owner)
        };
        let long = Sender { default_expiry: Some(Duration::from_micros(i64::MAX.unsigned_abs())), ..sender(&owner) };
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        for new in [&empty, &full, &long] {
            assert!(tx.insert_sender(new).await.unwrap());
            let found = tx.sender_of_address(new.channel, &new.address).await.unwrap();
            assert_eq!(found.as_ref(), Some(new));
        }
        assert!(!tx.insert_sender(&Sender { address: full.address.clone(), channel: Channel::Email, ..sender(&owner) }).await.unwrap());
        let changed = Sender { version: 2, address: full.address.clone() + "2", ..Sender { id: empty.id, ..full.clone() } };
        let emptied = Sender { version: 3, ..empty.clone() };
        for (before, after) in [(&empty, &changed), (&changed, &emptied)] {
            assert_eq!(tx.update_sender(before, after).await.unwrap(), Guarded::Updated);
            assert_eq!(tx.lock_sender(empty.id).await.unwrap().as_ref(), Some(after));
        }
        committed(tx).await;
        assert_eq!(db.open.sender(&owner, full.id).await.unwrap().as_ref(), Some(&full));
        let page = db.open.senders(&owner, None, Some(empty.id), 10).await.unwrap();
        assert_eq!(page, [full.clone(), long]);
        assert_eq!(db.open.senders(&owner, Some(Channel::Email), None, 10).await.unwrap(), [full]);
    }

    async fn an_attachment_and_its_content(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let new = append_uncommitted(&mut tx, target.id).await.unwrap();
        let bytes: Vec<u8> = (0..=255).collect();
        let held = Attachment { filename: STRANGE.to_owned(), size_bytes: 256, ..attachment() };
        let linked = Attachment { filename: String::new(), size_bytes: 0, url: Some(STRANGE.to_owned()), ..attachment() };
        tx.insert_attachment(&held, new.id, vec![bytes.clone(), Vec::new()]).await.unwrap();
        tx.insert_attachment(&linked, new.id, Vec::new()).await.unwrap();
        committed(tx).await;
        for one in [&held, &linked] {
            assert_eq!(db.open.attachment(&owner, new.id, one.id).await.unwrap().as_ref(), Some(one));
        }
        assert_eq!(db.open.attachment_chunk(&owner, held.id, 0).await.unwrap(), Some(bytes));
        assert_eq!(db.open.attachment_chunk(&owner, held.id, 1).await.unwrap(), Some(Vec::new()));
        assert_eq!(db.open.attachment_chunk(&owner, held.id, 2).await.unwrap(), None);
        assert_eq!(db.open.attachment_chunk(&owner, linked.id, 0).await.unwrap(), None);
    }

    /// Any text without NUL and any time that the API allows.
    async fn any_text_and_time(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let text = || proptest::string::string_regex("[^\u{0}]{0,40}").unwrap();
        let time = || FIRST.as_micros()..=LAST.as_micros();
        let any = (text(), text(), prop::option::of(time()), time(), any::<i64>());
        let mut runner = TestRunner::deterministic();
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        for _ in 0..64 {
            let (body, subject, sent, created, number) = any.new_tree(&mut runner).unwrap().current();
            target.last_sequence += 1;
            let mut new = message(&target);
            new.cc_addresses = vec![body.clone()];
            (new.body, new.subject, new.latency_ms) = (body, subject, Some(number));
            new.created_at = Timestamp::from_micros(created);
            new.progress.sent_at = sent.map(Timestamp::from_micros);
            tx.insert_message(&new, &target).await.unwrap();
            assert_eq!(tx.message(new.id).await.unwrap(), Some(new));
        }
        tx.rollback().await.unwrap();
    }
}
