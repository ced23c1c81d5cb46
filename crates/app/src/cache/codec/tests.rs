//! Round trips of cached values, and rejection of foreign ones.

use parlance_domain::{Channel, Direction, MessageStatus, Owner};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample;
use proptest::test_runner::TestCaseResult;

use super::super::json::tests::{a_conversation, a_message};
use super::super::json::{CacheableResponse, CachedAnswer};
use super::*;
use crate::conversations::Stats;
use crate::messages::SearchResult;
use crate::paging::{Page, QueryFingerprint};

fn codec(id: ConversationId) -> MessagesCodec {
    MessagesCodec {
        id,
        encoders: Encoders::default(),
    }
}

/// Messages of one conversation, newest first, with gaps where some were deleted.
fn newest() -> impl Strategy<Value = Newest> {
    let gaps = vec((a_message(), 1_i64..4), 1..=NEWEST);
    (gaps, any::<bool>()).prop_map(|(messages, older)| {
        let (of, owner) = (messages[0].0.conversation_id, messages[0].0.owner.clone());
        let is_all = messages.len() < NEWEST || !older;
        let mut sequence = 0;
        let mut messages: Vec<Message> = messages
            .into_iter()
            .map(|(mut message, gap)| {
                sequence += gap;
                message.sequence = sequence;
                message.conversation_id = of;
                message.owner = owner.clone();
                message
            })
            .collect();
        messages.reverse();
        Newest { messages, is_all }
    })
}

fn id(newest: &Newest) -> ConversationId {
    newest.messages[0].conversation_id
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_comes_back_in_either_form(newest in newest()) {
        let codec = codec(id(&newest));
        prop_assert_eq!(codec.owner(&newest), Some(newest.messages[0].owner.as_str()));
        prop_assert_eq!(codec.parse(&codec.raw(&newest)), Some(newest.clone()));
        let EncodedValue::List(list) = codec.encode(&newest) else {
            return Err(TestCaseError::fail("a list is held as a list"));
        };
        prop_assert_eq!(list.newest, newest.messages[0].sequence);
        prop_assert_eq!(list.items.len(), newest.messages.len());
        let last = newest.messages.len() - 1;
        for (index, (held, message)) in list.items.iter().zip(&newest.messages).enumerate() {
            let expected = Item {
                sequence: message.sequence,
                size: page_size(message),
                is_first: newest.is_all && index == last,
                encoded: json::message(message),
            };
            prop_assert_eq!(Item::of(held.clone()), Some(expected));
        }
    }

    #[test]
    fn a_conversation_is_held_with_its_count(conversation in a_conversation()) {
        let codec = ConversationCodec { id: conversation.id, encoders: Encoders::default() };
        let EncodedValue::One(held) = codec.encode(&conversation) else {
            return Err(TestCaseError::fail("one is held as one"));
        };
        let expected = (conversation.message_count, json::conversation(&conversation));
        prop_assert_eq!(conversation_of(held), expected);
        prop_assert_eq!(codec.parse(&codec.raw(&conversation)), Some(conversation));
    }

    /// An element appended to a list equals the element of a list that is read afterwards.
    #[test]
    fn an_appended_entry_equals_a_filled_one(newest in newest(), message in a_message()) {
        let mut above = message;
        above.conversation_id = id(&newest);
        above.owner = newest.messages[0].owner.clone();
        above.sequence = newest.messages[0].sequence + 1;
        let codec = codec(id(&newest));
        let mut all = vec![above.clone()];
        all.extend(newest.messages);
        let is_all = newest.is_all && all.len() <= NEWEST;
        all.truncate(NEWEST);
        let filled = Newest { messages: all, is_all };

        let entry = |form| newest_entry(form, Encoders::default(), &above, usize::MAX).map(|entry| entry.element);
        let Raw::List(texts) = codec.raw(&filled) else {
            return Err(TestCaseError::fail("a list is text in a list"));
        };
        prop_assert_eq!(entry(ValueFormat::Text), texts.first().cloned());
        let EncodedValue::List(list) = codec.encode(&filled) else {
            return Err(TestCaseError::fail("a list is held as a list"));
        };
        prop_assert_eq!(entry(ValueFormat::Encoded), list.items.first().cloned());
        prop_assert_eq!(entry(ValueFormat::None), None);
    }
}

fn sample_list() -> (ConversationId, Vec<Bytes>) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = newest()
        .prop_filter("three", |newest| newest.messages.len() > 2)
        .new_tree(&mut runner)
        .unwrap();
    let newest = proptest::strategy::ValueTree::current(&tree);
    let Raw::List(texts) = codec(id(&newest)).raw(&newest) else {
        panic!("a list is text in a list")
    };
    (id(&newest), texts)
}

#[test]
fn an_invalid_list_is_rejected() {
    let (id, good) = sample_list();
    let parse = |texts: &[Bytes]| codec(id).parse(&Raw::List(texts.to_vec()));
    let count = good.len();
    assert!(parse(&good).is_some());
    assert_eq!(parse(&[]), None);
    assert_eq!(parse(&good[..count - 1]), None, "truncated");
    let mut reversed = good.clone();
    reversed.reverse();
    assert_eq!(parse(&reversed), None);
    let mut twice = good.clone();
    twice.insert(0, good[0].clone());
    assert_eq!(parse(&twice), None, "a sequence twice");
    let mark = Bytes::from_static(b"{\"fence\":\"a\"}");
    assert_eq!(parse(&[&[mark], &good[..]].concat()), None);
    assert_eq!(codec(id).parse(&Raw::One(good[0].clone())), None);
    let other = ConversationId::from_uuid(uuid::Uuid::from_u128(7));
    assert_eq!(codec(other).parse(&Raw::List(good.clone())), None);

    let mut stranger = json::parse_message(&good[0]).unwrap();
    stranger.owner = Owner::parse("stranger").unwrap();
    let mut of_two = good;
    of_two[0] = json::message(&stranger);
    assert_eq!(parse(&of_two), None, "of two owners");
}

#[test]
fn another_message_under_the_key_is_rejected() {
    let (_, texts) = sample_list();
    let message = json::parse_message(&texts[0]).unwrap();
    let of = |id| MessageCodec {
        id,
        encoders: Encoders::default(),
    };
    let raw = of(message.id).raw(&message);
    assert_eq!(of(message.id).parse(&raw), Some(message));
    let other = MessageId::from_uuid(uuid::Uuid::from_u128(7));
    assert_eq!(of(other).parse(&raw), None);
    assert_eq!(of(other).parse(&Raw::List(texts)), None);
}

#[test]
fn a_large_message_is_not_appended() {
    let (_, texts) = sample_list();
    let message = json::parse_message(&texts[0]).unwrap();
    let size = json::element(&message, false).len();
    let entry = |limit| newest_entry(ValueFormat::Text, Encoders::default(), &message, limit);
    assert!(entry(size).is_some());
    assert_eq!(entry(size - 1), None);
}

fn a_list() -> impl Strategy<Value = Page<Conversation>> {
    let page = (
        vec(a_conversation(), 0..4),
        any::<String>(),
        any::<Option<i64>>(),
    );
    page.prop_map(|(items, next_page_token, total_size)| Page {
        items,
        next_page_token,
        total_size,
    })
}

fn some_stats() -> impl Strategy<Value = Stats> {
    let kinds = (
        sample::select(Channel::ALL),
        sample::select(Direction::ALL),
        sample::select(MessageStatus::ALL),
    );
    let by = btree_map(kinds, any::<i64>(), 0..5);
    (any::<[i64; 5]>(), by).prop_map(|(numbers, messages_by)| Stats {
        conversations: numbers[0],
        active_conversations: numbers[1],
        messages: numbers[2],
        unread: numbers[3],
        tokens_used: numbers[4],
        messages_by,
    })
}

fn a_search() -> impl Strategy<Value = Page<SearchResult>> {
    let result = (a_message(), any::<String>(), 0.0..1e9_f64);
    let result = result.prop_map(|(message, snippet, score)| SearchResult {
        message,
        snippet,
        score,
    });
    (vec(result, 0..4), any::<String>()).prop_map(|(items, next_page_token)| Page {
        items,
        next_page_token,
        total_size: None,
    })
}

/// A cached answer is read back for its own query only, and not if it is truncated.
fn check<T>(
    answer: &T,
    encode: fn(&T) -> Bytes,
    question: u128,
    cut: sample::Index,
) -> TestCaseResult
where
    T: CacheableResponse + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static,
{
    let codec = |question| AnswerCodec {
        fingerprint: QueryFingerprint(question),
        encode,
    };
    for user in [None, Some(String::new()), Some("ada \"ä\"".to_owned())] {
        let cached = CachedAnswer {
            owner: Owner::parse("acme").unwrap(),
            user,
            answer: answer.clone(),
        };
        let raw = codec(question).raw(&cached).stamped_in(7, "0a");
        prop_assert_eq!(codec(question).owner(&cached), Some("acme"));
        prop_assert_eq!(
            codec(question).encode(&cached),
            EncodedValue::One(encode(answer))
        );
        prop_assert_eq!(codec(question).parse(&raw), Some(cached));
        prop_assert_eq!(codec(question ^ 1).parse(&raw), None);
        let Raw::One(text) = raw else {
            return Err(TestCaseError::fail("one is text in one"));
        };
        let part = text.slice(..cut.index(text.len()));
        prop_assert_eq!(codec(question).parse(&Raw::One(part)), None);
        prop_assert_eq!(codec(question).parse(&Raw::List(vec![text])), None);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_page_of_conversations_comes_back(page in a_list(), question: u128, cut: sample::Index) {
        check(&page, Encoders::default().list, question, cut)?;
    }

    #[test]
    fn statistics_come_back(stats in some_stats(), question: u128, cut: sample::Index) {
        check(&stats, Encoders::default().stats, question, cut)?;
    }

    #[test]
    fn a_page_of_results_comes_back(page in a_search(), question: u128, cut: sample::Index) {
        check(&page, Encoders::default().search, question, cut)?;
    }
}

#[test]
fn the_json_of_statistics_is_stable() {
    let stats = Stats {
        messages: 3,
        messages_by: [((Channel::Sms, Direction::Outbound, MessageStatus::Sent), 3)].into(),
        ..Stats::default()
    };
    let codec = AnswerCodec {
        fingerprint: QueryFingerprint(0xab),
        encode: Encoders::default().stats,
    };
    let cached = |user: Option<&str>| CachedAnswer {
        owner: Owner::parse("acme").unwrap(),
        user: user.map(str::to_owned),
        answer: stats.clone(),
    };
    let expected = r#"{"owner":"acme","user":"ada","question":"000000000000000000000000000000ab","answer":{"conversations":0,"active_conversations":0,"messages":3,"unread":0,"tokens_used":0,"messages_by":[{"message_type":"sms","direction":"outbound","status":"sent","count":3}]}}"#;
    let text = |user| match codec.raw(&cached(user)) {
        Raw::One(text) => String::from_utf8(text.to_vec()).unwrap(),
        Raw::List(_) => panic!("one is text in one"),
    };
    assert_eq!(text(Some("ada")), expected);
    assert_eq!(text(None), expected.replace("\"ada\"", "null"));
    // A text of an older or foreign version is a miss.
    for name in [
        "owner",
        "user",
        "question",
        "answer",
        "messages_by",
        "status",
        "unread",
    ] {
        let other = expected.replace(&format!("\"{name}\""), "\"other\"");
        assert_ne!(other, expected);
        assert_eq!(codec.parse(&Raw::One(other.into())), None, "{name}");
    }
}
