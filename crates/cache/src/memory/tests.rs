//! The tier in this process, alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{EncodedList, EncodedValue, Leased, Near};
use crate::key::{Key, Kind};
use crate::remote::Token;

const KEY: Key = Key::new(Kind::Message, 7);
const LIST: Key = Key::new(Kind::Messages, 7);
const READER: Token = Token(1);
const WRITER: Token = Token(2);
const OTHER: Token = Token(3);
const TTL: Duration = Duration::from_mins(5);

fn near() -> Near {
    Near::new(1000, 1 << 20)
}

fn body(text: &'static str) -> EncodedValue {
    EncodedValue::One(Bytes::from_static(text.as_bytes()))
}

fn list(newest: i64, items: &[&'static str]) -> EncodedValue {
    EncodedValue::List(Arc::new(EncodedList {
        newest,
        items: items
            .iter()
            .map(|i| Bytes::from_static(i.as_bytes()))
            .collect(),
    }))
}

fn fill(near: &Near, key: Key, encoded: EncodedValue) -> bool {
    assert!(matches!(near.acquire(key, 0, READER), Leased::Granted));
    near.fill((key, READER), Some(("owner", encoded)), 0, TTL)
}

fn encoded(near: &Near, key: Key) -> Option<EncodedValue> {
    near.get(key, 0).map(|found| found.encoded)
}

#[tokio::test(start_paused = true)]
async fn what_is_filled_is_found_until_it_expires() {
    let near = near();
    assert!(fill(&near, KEY, body("a")));
    assert_eq!(encoded(&near, KEY), Some(body("a")));
    assert!(matches!(near.acquire(KEY, 0, OTHER), Leased::Value(_)));
    tokio::time::advance(TTL).await;
    assert_eq!(encoded(&near, KEY), None);
    assert_eq!(near.keys(), [KEY]);
    assert_eq!(near.sweep()[Kind::Message.index()].entries, 0);
    assert_eq!(near.keys(), []);
}

#[tokio::test(start_paused = true)]
async fn a_fence_takes_the_value_and_the_lease() {
    let near = near();
    assert!(matches!(near.acquire(KEY, 0, READER), Leased::Granted));
    near.fence(KEY, WRITER);
    assert!(!near.fill((KEY, READER), Some(("owner", body("old"))), 0, TTL));
    assert!(matches!(near.acquire(KEY, 0, OTHER), Leased::Busy));
    near.fence(KEY, OTHER);
    near.release(KEY, WRITER);
    assert!(matches!(near.acquire(KEY, 0, READER), Leased::Busy));
    near.release(KEY, OTHER);
    assert!(fill(&near, KEY, body("new")));
}

#[tokio::test(start_paused = true)]
async fn leases_and_fences_end_by_themselves() {
    let near = near();
    assert!(matches!(near.acquire(KEY, 0, READER), Leased::Granted));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!near.fill((KEY, READER), Some(("owner", body("late"))), 0, TTL));
    near.fence(KEY, WRITER);
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert!(matches!(near.acquire(KEY, 0, READER), Leased::Busy));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(fill(&near, KEY, body("new")));
}

#[tokio::test(start_paused = true)]
async fn a_later_reader_takes_the_lease() {
    let near = near();
    assert!(matches!(near.acquire(KEY, 0, READER), Leased::Granted));
    assert!(matches!(near.acquire(KEY, 0, OTHER), Leased::Granted));
    assert!(!near.fill((KEY, READER), Some(("owner", body("a"))), 0, TTL));
    assert!(near.fill((KEY, OTHER), Some(("owner", body("b"))), 0, TTL));
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_on_top_of_a_list_in_its_turn() {
    let near = near();
    assert!(fill(&near, LIST, list(2, &["b", "a"])));
    near.fence_list(LIST, WRITER);
    assert_eq!(encoded(&near, LIST), None);
    near.release_list((LIST, WRITER), (3, Bytes::from_static(b"c")), 0, TTL);
    assert_eq!(encoded(&near, LIST), Some(list(3, &["c", "b", "a"])));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_as_it_was_goes() {
    let top = |sequence| (sequence, Bytes::from_static(b"x"));
    // A gap.
    let gap = near();
    assert!(fill(&gap, LIST, list(2, &["b", "a"])));
    gap.fence_list(LIST, WRITER);
    gap.release_list((LIST, WRITER), top(4), 0, TTL);
    assert!(gap.values.get(&LIST).is_none());
    // Another writer, before or after.
    for first in [WRITER, OTHER] {
        let both = near();
        assert!(fill(&both, LIST, list(2, &["b", "a"])));
        both.fence_list(LIST, WRITER);
        both.fence_list(LIST, OTHER);
        both.release_list((LIST, first), top(3), 0, TTL);
        assert!(both.values.get(&LIST).is_none());
    }
    // No mark of ours: it was filled since.
    let since = near();
    assert!(fill(&since, LIST, list(2, &["b", "a"])));
    since.release_list((LIST, WRITER), top(3), 0, TTL);
    assert!(since.values.get(&LIST).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_keeps_fifty() {
    let near = near();
    assert!(fill(&near, LIST, list(50, &["m"; 50])));
    near.fence_list(LIST, WRITER);
    near.release_list((LIST, WRITER), (51, Bytes::from_static(b"n")), 0, TTL);
    let Some(EncodedValue::List(list)) = encoded(&near, LIST) else {
        panic!("no list");
    };
    assert_eq!((list.newest, list.items.len()), (51, 50));
    assert_eq!(list.items[0], Bytes::from_static(b"n"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_kept_only_if_nothing_was_heard_since_its_mark() {
    let near = near();
    assert_eq!(near.mark(KEY), None, "nothing is heard yet");
    near.hear();
    let mark = near.mark(KEY).unwrap();
    assert!(near.copy((KEY, mark), "owner", body("a"), 3, TTL));
    assert_eq!(near.get(KEY, 3).map(|found| found.encoded), Some(body("a")));
    assert!(near.get(KEY, 4).is_none(), "of another epoch");
    near.changed(KEY);
    assert!(near.get(KEY, 3).is_none());
    assert!(!near.copy((KEY, mark), "owner", body("a"), 3, TTL));
    let mark = near.mark(KEY).unwrap();
    near.lose();
    near.hear();
    assert!(!near.copy((KEY, mark), "owner", body("a"), 3, TTL));
}

#[tokio::test(start_paused = true)]
async fn it_holds_no_more_than_it_may() {
    for (entries, bytes) in [(100, 1 << 20), (100_000, 64 * 1024)] {
        let near = Near::new(entries, bytes);
        for id in 0..5_000 {
            let key = Key::new(Kind::Message, id);
            assert!(fill(
                &near,
                key,
                body("two hundred bytes, or what goes for it")
            ));
        }
        let status = near.sweep()[Kind::Message.index()];
        assert!(status.entries <= entries as u64, "{status:?}");
        assert!(status.bytes <= bytes as u64, "{status:?}");
        assert!(status.entries > 50, "{status:?}");
        assert_eq!(status.entries + status.evictions, 5_000);
    }
}
