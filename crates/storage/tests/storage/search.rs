//! Results of searches: the same on both databases, and the same as of a scan by hand.

use std::collections::BTreeSet;

use parlance_domain::search::{Terms, query};
use parlance_domain::{
    Channel, Conversation, Direction, EventType, Message, MessageId, MessageStatus, Owner,
    Timestamp,
};
use parlance_storage::db::search::{BATCH, Matches, SearchFilter, SearchWindow};
use parlance_storage::{Guarded, Touch};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::write::update_message;
use crate::support::{Db, at, committed, conversation, message, open, owner};

fn words(text: &str) -> Terms {
    query(text, parlance_domain::search::Language::Simple)
}

const ALL: SearchWindow = SearchWindow {
    beyond: None,
    from: None,
    up_to: None,
    enough: 51,
    limit: 1000,
};

async fn found(db: &Db, owner: &Owner, text: &str, filter: &SearchFilter) -> BTreeSet<MessageId> {
    let (mut ids, mut stretch) = (BTreeSet::new(), ALL);
    loop {
        let found = db
            .open
            .search(owner, &words(text), filter, stretch)
            .await
            .unwrap();
        ids.extend(found.matches.into_iter().map(|one| one.id));
        stretch.beyond = found.ends.map(|(_, last)| last);
        if found.is_last {
            return ids;
        }
    }
}

async fn finds(db: &Db, owner: &Owner, text: &str) -> BTreeSet<MessageId> {
    found(db, owner, text, &SearchFilter::default()).await
}

/// Writes a message, prepared by `make`, into a conversation.
pub(crate) async fn put(
    db: &Db,
    of: &mut Conversation,
    change: impl FnOnce(&mut Message),
) -> Message {
    let mut tx = db.open.begin(&of.owner, at(0)).await.unwrap();
    let before = tx.lock_conversation(of.id).await.unwrap().unwrap();
    *of = Conversation {
        last_sequence: before.last_sequence + 1,
        message_count: before.message_count + 1,
        version: before.version + 1,
        ..before.clone()
    };
    let done = tx.update_conversation(&before, of, false).await.unwrap();
    assert_eq!(done, Guarded::Updated);
    let mut new = message(of);
    new.created_at = at(of.last_sequence);
    change(&mut new);
    tx.insert_message(&new, of).await.unwrap();
    committed(tx).await;
    new
}

async fn change(db: &Db, of: &mut Conversation, change: impl FnOnce(&mut Conversation)) {
    let mut tx = db.open.begin(&of.owner, at(0)).await.unwrap();
    let before = tx.lock_conversation(of.id).await.unwrap().unwrap();
    *of = before.clone();
    change(of);
    of.version += 1;
    let done = tx.update_conversation(&before, of, true).await.unwrap();
    assert_eq!(done, Guarded::Updated);
    committed(tx).await;
}

async fn delete(db: &Db, of: &Message) {
    let mut tx = db.open.begin(&of.owner, at(0)).await.unwrap();
    let found = tx.lock_message(of.id).await.unwrap().unwrap();
    assert_eq!(
        tx.delete_message(&found, "ada").await.unwrap(),
        Guarded::Updated
    );
    committed(tx).await;
}

async fn edit(db: &Db, of: &Message, body: &str) {
    let mut tx = db.open.begin(&of.owner, at(0)).await.unwrap();
    let found = tx.lock_message(of.id).await.unwrap().unwrap();
    let changed = Message {
        body: body.to_owned(),
        version: found.version + 1,
        ..found.clone()
    };
    let done = update_message(&mut tx, &found, &changed, EventType::MessageUpdated, "ada")
        .await
        .unwrap();
    assert_eq!(done, Guarded::Updated);
    committed(tx).await;
}

/// A database of each kind, for the same writes and searches.
async fn both() -> [Db; 2] {
    [Db::sqlite().await, Db::postgres().await]
}

/// Spellings of a word, and the word.
const SPELLINGS: [(&str, &str); 14] = [
    ("red", "red"),
    ("RED", "red"),
    ("car", "car"),
    ("cars", "cars"),
    ("Café", "cafe"),
    ("cafe\u{301}", "cafe"),
    ("日", "日"),
    ("x1", "x1"),
    ("1", "1"),
    ("AND", "and"),
    ("near", "near"),
    ("שָׁלוֹם", "שלום"),
    ("Ωmega", "ωmega"),
    ("o", "o"),
];
const BETWEEN: [&str; 12] = [
    " ",
    ". ",
    "🙂",
    "\n",
    " \" ",
    "' ",
    "-",
    "*",
    " <> ",
    ":",
    " & ",
    "\u{202e} ",
];

/// A text of some of the words, with separators.
fn text() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..SPELLINGS.len(), 0..BETWEEN.len()), 0..6)
}

fn written(text: &[(usize, usize)]) -> String {
    text.iter()
        .map(|(word, between)| SPELLINGS[*word].0.to_owned() + BETWEEN[*between])
        .collect()
}

fn meant(text: &[(usize, usize)]) -> BTreeSet<&'static str> {
    text.iter().map(|(word, _)| SPELLINGS[*word].1).collect()
}

/// Random messages in conversations of two owners; every query finds on both databases the messages with all of its
/// words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_find_messages_with_all_the_words() {
    let both = both().await;
    let mut runner = TestRunner::deterministic();
    for round in 0..6 {
        let owners = [
            owner(&format!("acme{round}")),
            owner(&format!("other{round}")),
        ];
        let mut corpus: Vec<(Message, BTreeSet<&str>)> = Vec::new();
        for owner in owners.iter().cycle().take(4) {
            let title = text().new_tree(&mut runner).unwrap().current();
            let target = Conversation {
                title: written(&title),
                ..conversation(owner)
            };
            for db in &both {
                let mut tx = db.open.begin(owner, at(0)).await.unwrap();
                assert!(tx.insert_conversation(&target).await.unwrap());
                committed(tx).await;
            }
            let texts = prop::collection::vec((text(), text()), 8);
            for (subject, body) in texts.new_tree(&mut runner).unwrap().current() {
                let mut one = None;
                for db in &both {
                    let make = |new: &mut Message| {
                        new.subject = written(&subject);
                        new.body = written(&body);
                        new.id = one.unwrap_or(new.id);
                    };
                    let new = put(db, &mut target.clone(), make).await;
                    one = Some(new.id);
                    if db.kind == both[1].kind {
                        let all = [&title, &subject, &body]
                            .into_iter()
                            .flat_map(|text| meant(text));
                        corpus.push((new, all.collect()));
                    }
                }
            }
        }
        for _ in 0..40 {
            let asked = text().new_tree(&mut runner).unwrap().current();
            let owner = &owners[0];
            let expected: BTreeSet<MessageId> = corpus
                .iter()
                .filter(|(message, words)| {
                    message.owner == *owner && meant(&asked).is_subset(words)
                })
                .map(|(message, _)| message.id)
                .collect();
            for db in &both {
                let found = finds(db, owner, &written(&asked)).await;
                let differ = corpus
                    .iter()
                    .filter(|(one, _)| found.contains(&one.id) != expected.contains(&one.id));
                let differ: Vec<_> = differ.collect();
                assert!(
                    differ.is_empty(),
                    "{:?} {:?} {differ:#?}",
                    db.kind,
                    written(&asked)
                );
            }
        }
    }
}

on_both! {
    /// No text of a query is syntax.
    async fn any_query_is_answered(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let new = put(&db, &mut target, |new| "a needle".clone_into(&mut new.body)).await;
        let many = (0..2_500).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let long = "x".repeat(10_000);
        for strange in [
            "\"", "'", "\\", "a\"b'", "NEAR(", "needle*", "^needle", "body:needle", "{a b}:c", "a AND", "OR", "NOT", "-needle",
            "(((", "a & | ! <-> b", "a:*", ":A", "🙂", "\0", "a\0b", "\u{202e}שלום", "%_", "=oacme", "--", ";DROP TABLE messages",
            &many, &long,
        ] {
            let found = finds(&db, &owner, strange).await;
            let expected = words(strange).is_empty() || words(strange).iter().all(|word| ["a", "needle"].contains(&word));
            assert_eq!(found.contains(&new.id), expected, "{strange}");
        }
        let mut runner = TestRunner::deterministic();
        for _ in 0..200 {
            let strange = any::<String>().new_tree(&mut runner).unwrap().current();
            finds(&db, &owner, &strange).await;
        }
    }

    /// Every message is found by its own text.
    async fn any_text_is_found_by_itself(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let mut runner = TestRunner::deterministic();
        let text = proptest::string::string_regex("[^\u{0}]{0,60}").unwrap();
        for _ in 0..60 {
            let body = text.new_tree(&mut runner).unwrap().current();
            let new = put(&db, &mut target, |new| new.body.clone_from(&body)).await;
            assert!(finds(&db, &owner, &body).await.contains(&new.id), "{body:?}");
        }
        // The longest text that is allowed, of words that are all different.
        let long = (0..40_000).map(|n| format!("{n:x}")).collect::<Vec<_>>().join(" ");
        let new = put(&db, &mut target, |new| new.body.clone_from(&long)).await;
        assert_eq!(finds(&db, &owner, "9c3f 1 conversation").await, [new.id].into());
    }

    async fn the_index_follows_changes(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        change(&db, &mut target, |c| "Blue".clone_into(&mut c.title)).await;
        let one = put(&db, &mut target, |new| "first car".clone_into(&mut new.body)).await;
        let two = put(&db, &mut target, |new| "second car".clone_into(&mut new.body)).await;
        assert_eq!(finds(&db, &owner, "car blue").await, [one.id, two.id].into());

        edit(&db, &one, "first boat").await;
        assert_eq!(finds(&db, &owner, "car").await, [two.id].into());
        assert_eq!(finds(&db, &owner, "boat blue").await, [one.id].into());

        change(&db, &mut target, |c| "Green".clone_into(&mut c.title)).await;
        assert_eq!(finds(&db, &owner, "blue").await, [].into());
        assert_eq!(finds(&db, &owner, "green").await, [one.id, two.id].into());

        let of = |user: &str| SearchFilter { user: Some(user.to_owned()), ..SearchFilter::default() };
        change(&db, &mut target, |c| "bob".clone_into(&mut c.user)).await;
        assert_eq!(found(&db, &owner, "car", &of("ada")).await, [].into());
        assert_eq!(found(&db, &owner, "car", &of("bob")).await, [two.id].into());

        delete(&db, &one).await;
        assert_eq!(finds(&db, &owner, "").await, [two.id].into());
        assert_eq!(db.count("message_search").await, 1);

        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.hide_conversation(&target).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        assert_eq!(finds(&db, &owner, "car").await, [].into(), "it is being deleted");
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.delete_some_messages(&target, 9).await.unwrap(), 1);
        committed(tx).await;
        assert_eq!(db.count("message_search").await, 0);
    }

    /// A repeated change of the title starts from the newest message again.
    async fn a_long_conversation_is_indexed_in_batches(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let mut ids = BTreeSet::new();
        for _ in 0..=BATCH {
            ids.insert(put(&db, &mut target, |_| {}).await.id);
        }
        change(&db, &mut target, |c| "blue".clone_into(&mut c.title)).await;
        assert_eq!(finds(&db, &owner, "blue").await.len(), 200);
        change(&db, &mut target, |c| "green".clone_into(&mut c.title)).await;
        assert_eq!(finds(&db, &owner, "green").await.len(), 200);
        let waiting = db.open.pending_for_search(9).await.unwrap();
        assert_eq!(waiting, [(owner.clone(), target.id)]);

        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let locked = tx.lock_conversation(target.id).await.unwrap().unwrap();
        assert!(!tx.index_more(&locked).await.unwrap());
        // The results of searches change, though no event is appended.
        assert_eq!(tx.touched().touches(), [Touch::ConversationIndexed(target.id, target.user.clone())]);
        assert!(!tx.index_more(&locked).await.unwrap());
        assert_eq!(tx.touched().touches().len(), 1, "there is nothing left to do");
        committed(tx).await;
        assert_eq!(finds(&db, &owner, "green").await, ids);
        assert_eq!(finds(&db, &owner, "blue").await, [].into());
        assert_eq!(db.open.pending_for_search(9).await.unwrap(), []);
    }

    async fn every_filter_is_applied(db: Db) {
        let owner = owner("acme");
        let mut here = open(&db.open, &owner).await;
        let mut there = open(&db.open, &owner).await;
        change(&db, &mut there, |c| "bob".clone_into(&mut c.user)).await;
        let one = put(&db, &mut here, |new| "car".clone_into(&mut new.body)).await;
        let two = put(&db, &mut there, |new| {
            "car".clone_into(&mut new.body);
            new.direction = Direction::Inbound;
            new.channel = Channel::Mms;
            new.progress.status = MessageStatus::Failed;
            new.created_at = at(100);
        }).await;
        let any = SearchFilter::default();
        for (filter, expected) in [
            (any.clone(), [one.id, two.id].into()),
            (SearchFilter { user: Some("bob".to_owned()), ..any.clone() }, [two.id].into()),
            (SearchFilter { conversation_id: Some(here.id), ..any.clone() }, [one.id].into()),
            (SearchFilter { channel: Some(Channel::Mms), ..any.clone() }, [two.id].into()),
            (SearchFilter { direction: Some(Direction::Outbound), ..any.clone() }, [one.id].into()),
            (SearchFilter { status: Some(MessageStatus::Failed), ..any.clone() }, [two.id].into()),
            (SearchFilter { status: Some(MessageStatus::Pending), ..any.clone() }, [one.id].into()),
            (SearchFilter { status: Some(MessageStatus::Expired), ..any.clone() }, BTreeSet::new()),
            (SearchFilter { created_after: Some(at(100)), ..any.clone() }, [two.id].into()),
            (SearchFilter { created_before: Some(at(100)), ..any.clone() }, [one.id].into()),
            (SearchFilter { created_after: Some(at(1)), created_before: Some(at(101)), ..any.clone() }, [one.id, two.id].into()),
            (SearchFilter { user: Some("bob".to_owned()), conversation_id: Some(here.id), ..any.clone() }, BTreeSet::new()),
        ] {
            for text in ["car", ""] {
                assert_eq!(found(&db, &owner, text, &filter).await, expected, "{text} {filter:?}");
            }
        }
    }

    /// On SQLite more messages than one millisecond has numbers.
    async fn many_messages_of_one_timestamp(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let late = Timestamp::from_micros(at(5).as_micros() + 1_000);
        let end = Timestamp::from_micros(at(5).as_micros() + 2_000);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let locked = tx.lock_conversation(target.id).await.unwrap().unwrap();
        for (many, time) in [(1, at(4)), (1_100, at(5)), (1, late)] {
            for _ in 0..many {
                target.last_sequence += 1;
                let new = Message { created_at: time, ..message(&target) };
                tx.insert_message(&new, &target).await.unwrap();
            }
        }
        target.version += 1;
        assert_eq!(tx.update_conversation(&locked, &target, false).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        for (after, before, expected) in [
            (None, Some(end), 1_102), (None, Some(late), 1_101), (None, Some(at(5)), 1), (Some(late), None, 1),
            (Some(at(5)), None, 1_101), (Some(at(5)), Some(late), 1_100), (Some(at(6)), None, 0),
        ] {
            let filter = SearchFilter { created_after: after, created_before: before, ..SearchFilter::default() };
            for text in ["", "message"] {
                assert_eq!(found(&db, &owner, text, &filter).await.len(), expected, "{text} {filter:?}");
            }
        }
    }

    /// Consecutive ranges return every match once, newest first.
    async fn consecutive_ranges_return_every_match_once(db: Db) {
        let owner = owner("acme");
        let mut target = open(&db.open, &owner).await;
        let mut expected = Vec::new();
        for n in 0..25 {
            // Some at the same time, one far back.
            let time = if n == 7 { at(-1_000_000) } else { at(n / 3) };
            let new = put(&db, &mut target, |new| {
                "car".clone_into(&mut new.body);
                new.created_at = time;
            }).await;
            expected.push((time, new.id));
        }
        for status in [None, Some(MessageStatus::Pending)] {
            let filter = SearchFilter { status, ..SearchFilter::default() };
            let mut seen: Vec<MessageId> = Vec::new();
            let mut stretch = SearchWindow { enough: 4, limit: 4, ..ALL };
            loop {
                let Matches { matches, ends, is_last } = db.open.search(&owner, &words("car"), &filter, stretch).await.unwrap();
                let again = SearchWindow {
                    beyond: None, from: ends.map(|(first, _)| first), up_to: ends.map(|(_, last)| last), limit: 9, ..stretch
                };
                let again = db.open.search(&owner, &words("car"), &filter, again).await.unwrap();
                assert_eq!(again.matches, matches, "the same stretch, by its ends");
                seen.extend(matches.iter().map(|one| one.id));
                stretch.beyond = ends.map(|(_, last)| last);
                if is_last {
                    break;
                }
            }
            let times: Vec<_> = seen.iter().map(|id| expected.iter().find(|(_, other)| other == id).unwrap().0).collect();
            assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
            let once: BTreeSet<MessageId> = seen.iter().copied().collect();
            assert_eq!((once.len(), seen.len()), (25, 25));
        }
    }
}

/// The counters and the matches are of one snapshot: a message that changes its state in between is found as it was
/// counted. The search is stopped between the two by a lock on what it reads last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_by_status_reads_one_snapshot() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let mut target = open(&db.open, &owner).await;
    let sent = put(&db, &mut target, |message| {
        message.body = "parcel".to_owned();
        message.progress.status = MessageStatus::Failed;
    })
    .await;
    let lock = db.client().await;
    lock.batch_execute("BEGIN; LOCK TABLE message_search IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let searching = {
        let (open, owner) = (db.open.clone(), owner.clone());
        let filter = SearchFilter {
            status: Some(MessageStatus::Failed),
            ..SearchFilter::default()
        };
        tokio::spawn(async move { open.search(&owner, &words("parcel"), &filter, ALL).await })
    };
    parlance_testkit::eventually(crate::support::SOON, async || {
        let waiting = "pg_locks WHERE NOT granted AND relation = 'message_search'::regclass AND database = \
            (SELECT oid FROM pg_database WHERE datname = current_database())";
        (db.count(waiting).await > 0).then_some(())
    })
    .await;
    db.run(&format!(
        "UPDATE messages SET status = 'delivered' WHERE id = {}",
        db.id(sent.id)
    ))
    .await;
    lock.batch_execute("COMMIT").await.unwrap();
    let found = searching.await.unwrap().unwrap();
    let ids: Vec<_> = found.matches.iter().map(|one| one.id).collect();
    assert_eq!(ids, [sent.id]);
}
