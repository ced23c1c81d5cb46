//! Tests of the memory tier by itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{EncodedList, EncodedValue, Leased, MemoryTier};
use crate::key::{Key, Kind};
use crate::token::Token;

const KEY: Key = Key::new(Kind::Message, 7);
const LIST: Key = Key::new(Kind::Messages, 7);
const READER: Token = Token(1);
const WRITER: Token = Token(2);
const OTHER: Token = Token(3);
const TTL: Duration = Duration::from_mins(5);

fn memory() -> MemoryTier {
    MemoryTier::new(1000, 1 << 20)
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

fn fill(memory: &MemoryTier, key: Key, encoded: EncodedValue) -> bool {
    assert!(matches!(memory.acquire(key, 0, READER), Leased::Granted));
    memory.fill((key, READER), Some(("owner", encoded)), 0, TTL)
}

fn encoded(memory: &MemoryTier, key: Key) -> Option<EncodedValue> {
    memory.get(key, 0).map(|found| found.encoded)
}

#[tokio::test(start_paused = true)]
async fn a_filled_value_is_found_until_it_expires() {
    let memory = memory();
    assert!(fill(&memory, KEY, body("a")));
    assert_eq!(encoded(&memory, KEY), Some(body("a")));
    assert!(matches!(memory.acquire(KEY, 0, OTHER), Leased::Value(_)));
    tokio::time::advance(TTL).await;
    assert_eq!(encoded(&memory, KEY), None);
    assert_eq!(memory.keys(), [KEY]);
    assert_eq!(memory.sweep()[Kind::Message.index()].entries, 0);
    assert_eq!(memory.keys(), []);
}

#[tokio::test(start_paused = true)]
async fn a_fence_deletes_the_value_and_revokes_the_lease() {
    let memory = memory();
    assert!(matches!(memory.acquire(KEY, 0, READER), Leased::Granted));
    memory.fence(KEY, WRITER);
    assert!(!memory.fill((KEY, READER), Some(("owner", body("old"))), 0, TTL));
    assert!(matches!(memory.acquire(KEY, 0, OTHER), Leased::Busy));
    memory.fence(KEY, OTHER);
    memory.release(KEY, WRITER);
    assert!(matches!(memory.acquire(KEY, 0, READER), Leased::Busy));
    memory.release(KEY, OTHER);
    assert!(fill(&memory, KEY, body("new")));
}

#[tokio::test(start_paused = true)]
async fn leases_and_fences_expire() {
    let memory = memory();
    assert!(matches!(memory.acquire(KEY, 0, READER), Leased::Granted));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!memory.fill((KEY, READER), Some(("owner", body("late"))), 0, TTL));
    memory.fence(KEY, WRITER);
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert!(matches!(memory.acquire(KEY, 0, READER), Leased::Busy));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(fill(&memory, KEY, body("new")));
}

#[tokio::test(start_paused = true)]
async fn a_later_reader_takes_over_the_lease() {
    let memory = memory();
    assert!(matches!(memory.acquire(KEY, 0, READER), Leased::Granted));
    assert!(matches!(memory.acquire(KEY, 0, OTHER), Leased::Granted));
    assert!(!memory.fill((KEY, READER), Some(("owner", body("a"))), 0, TTL));
    assert!(memory.fill((KEY, OTHER), Some(("owner", body("b"))), 0, TTL));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_prepended_to_its_list_in_sequence() {
    let memory = memory();
    assert!(fill(&memory, LIST, list(2, &["b", "a"])));
    memory.fence_list(LIST, WRITER);
    assert_eq!(encoded(&memory, LIST), None);
    memory.release_list((LIST, WRITER), (3, Bytes::from_static(b"c")), 0, TTL);
    assert_eq!(encoded(&memory, LIST), Some(list(3, &["c", "b", "a"])));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changed_since_the_fence_is_deleted() {
    let entry = |sequence| (sequence, Bytes::from_static(b"x"));
    // A gap.
    let gap = memory();
    assert!(fill(&gap, LIST, list(2, &["b", "a"])));
    gap.fence_list(LIST, WRITER);
    gap.release_list((LIST, WRITER), entry(4), 0, TTL);
    assert!(gap.values.get(&LIST).is_none());
    // Another writer, before or after.
    for first in [WRITER, OTHER] {
        let both = memory();
        assert!(fill(&both, LIST, list(2, &["b", "a"])));
        both.fence_list(LIST, WRITER);
        both.fence_list(LIST, OTHER);
        both.release_list((LIST, first), entry(3), 0, TTL);
        assert!(both.values.get(&LIST).is_none());
    }
    // No mark of this writer: the list was filled after the fence.
    let since = memory();
    assert!(fill(&since, LIST, list(2, &["b", "a"])));
    since.release_list((LIST, WRITER), entry(3), 0, TTL);
    assert!(since.values.get(&LIST).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_is_cut_to_fifty_entries() {
    let memory = memory();
    assert!(fill(&memory, LIST, list(50, &["m"; 50])));
    memory.fence_list(LIST, WRITER);
    memory.release_list((LIST, WRITER), (51, Bytes::from_static(b"n")), 0, TTL);
    let Some(EncodedValue::List(list)) = encoded(&memory, LIST) else {
        panic!("no list");
    };
    assert_eq!((list.newest, list.items.len()), (51, 50));
    assert_eq!(list.items[0], Bytes::from_static(b"n"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_stored_only_if_not_invalidated_since_its_mark() {
    let memory = memory();
    assert_eq!(memory.mark(KEY), None, "not connected yet");
    memory.connected();
    let mark = memory.mark(KEY).unwrap();
    assert!(memory.copy((KEY, mark), "owner", body("a"), 3, TTL));
    assert_eq!(
        memory.get(KEY, 3).map(|found| found.encoded),
        Some(body("a"))
    );
    assert!(memory.get(KEY, 4).is_none(), "of another epoch");
    memory.invalidate(KEY);
    assert!(memory.get(KEY, 3).is_none());
    assert!(!memory.copy((KEY, mark), "owner", body("a"), 3, TTL));
    let mark = memory.mark(KEY).unwrap();
    memory.disconnected();
    memory.connected();
    assert!(!memory.copy((KEY, mark), "owner", body("a"), 3, TTL));
}

#[tokio::test(start_paused = true)]
async fn the_bounds_in_entries_and_bytes_are_kept() {
    for (entries, bytes) in [(100, 1 << 20), (100_000, 64 * 1024)] {
        let memory = MemoryTier::new(entries, bytes);
        for id in 0..5_000 {
            let key = Key::new(Kind::Message, id);
            assert!(fill(
                &memory,
                key,
                body("two hundred bytes with the overhead")
            ));
        }
        let status = memory.sweep()[Kind::Message.index()];
        assert!(status.entries <= entries as u64, "{status:?}");
        assert!(status.bytes <= bytes as u64, "{status:?}");
        assert!(status.entries > 50, "{status:?}");
        assert_eq!(status.entries + status.evictions, 5_000);
    }
}
