//! Lists of the newest messages of a conversation: marks and appended messages.

use bytes::Bytes;
use deadpool_redis::redis::Value;
use parlance_cache::{Acquired, Fence, Raw, Release, Remote, Token};

use super::support::{A, B, C, Harness, LIST, TTL, harness, one, writer};

fn unstamped(sequence: i64) -> Bytes {
    format!("{{\"sequence\":{sequence},\"body\":\"x\"}}").into()
}

/// Newest first.
fn messages(sequences: impl DoubleEndedIterator<Item = i64>) -> Raw {
    Raw::List(sequences.rev().map(unstamped).collect())
}

fn append(sequence: i64) -> Release {
    Release::Append {
        sequence,
        element: unstamped(sequence),
        ttl: TTL,
    }
}

impl Harness {
    async fn mark(&self, token: Token) {
        let keys = [(LIST, Fence::Mark)];
        self.tier.fence(&keys, &self.epoch, token).await.unwrap();
    }

    async fn free(&self, token: Token, release: Release) {
        let keys = [(LIST, release)];
        self.tier.release(&keys, &self.epoch, token).await.unwrap();
    }

    async fn with_messages(&self, sequences: impl DoubleEndedIterator<Item = i64>) {
        let list = messages(sequences).stamped(self.epoch.number);
        self.filled(LIST, &list).await;
    }

    /// Sequences in the list; `None` without a list.
    async fn sequences(&self) -> Option<Vec<i64>> {
        let Some(Raw::List(elements)) = self.get(LIST).await else {
            return None;
        };
        let stamp = format!("{{\"epoch\":{},\"sequence\":", self.epoch.number);
        let sequence = |element: &Bytes| {
            let text = std::str::from_utf8(element).unwrap();
            let rest = text
                .strip_prefix(&stamp)
                .unwrap_or_else(|| panic!("{text}"));
            rest.split(',').next().unwrap().parse().unwrap()
        };
        Some(elements.iter().map(sequence).collect())
    }
}

#[tokio::test]
async fn a_list_is_filled_and_read_completely() {
    let b = harness().await;
    assert_eq!(b.get(LIST).await, None);
    b.with_messages(1..=3).await;
    assert_eq!(b.sequences().await, Some(vec![3, 2, 1]));
    let left: i64 = b.ask(&["PTTL", &LIST.to_string()]).await;
    assert!(left > 0);
    // A fill replaces the list.
    b.ask::<i64>(&["DEL", &LIST.to_string()]).await;
    b.with_messages(7..=8).await;
    assert_eq!(b.sequences().await, Some(vec![8, 7]));
    assert!(b.lease(LIST).await.is_empty());
}

#[tokio::test]
async fn an_empty_list_is_not_stored_and_a_long_one_is_cut() {
    let b = harness().await;
    b.acquire(LIST, A).await;
    assert!(!b.fill(LIST, A, &Raw::List(vec![])).await);
    assert!(!b.exists(LIST).await);
    b.with_messages(1..=60).await;
    assert_eq!(b.list(LIST).await.len(), 50);
    assert_eq!(b.sequences().await, Some((11..=60).rev().collect()));
}

#[tokio::test]
async fn a_value_of_another_shape_is_refused() {
    let b = harness().await;
    b.acquire(LIST, A).await;
    let filled = b.tier.fill(LIST, &b.epoch, A, &one("{v}"), TTL).await;
    assert!(filled.is_err());
    assert!(!b.exists(LIST).await);
}

#[tokio::test]
async fn a_marked_list_is_a_miss_and_the_release_appends() {
    let b = harness().await;
    b.with_messages(1..=3).await;
    b.mark(A).await;
    assert_eq!(b.list(LIST).await[0], format!("{{\"fence\":\"{A}\"}}"));
    assert_eq!(b.lease(LIST).await, [writer(A)]);
    let Some(found) = b.get(LIST).await else {
        panic!("the list stays")
    };
    assert!(!found.is_of(b.epoch.number));
    b.free(A, append(4)).await;
    assert_eq!(b.sequences().await, Some(vec![4, 3, 2, 1]));
    assert!(b.lease(LIST).await.is_empty());
}

/// A reader during a send finds the mark and must not delete the list, which the send continues.
#[tokio::test]
async fn a_reader_does_not_delete_a_marked_list() {
    let b = harness().await;
    b.with_messages(1..=3).await;
    b.mark(A).await;
    let found = b.get(LIST).await;
    let asked = b.tier.acquire(LIST, &b.epoch, B, found.as_ref()).await;
    assert_eq!(asked.unwrap(), Acquired::Busy);
    b.free(A, append(4)).await;
    assert_eq!(b.sequences().await, Some(vec![4, 3, 2, 1]));
}

#[tokio::test]
async fn a_list_with_the_mark_of_a_dead_writer_is_deleted_after_its_fence_expired() {
    let b = harness().await;
    b.with_messages(1..=3).await;
    b.mark(A).await;
    b.expire(LIST, &writer(A)).await;
    let found = b.get(LIST).await;
    let asked = b.tier.acquire(LIST, &b.epoch, B, found.as_ref()).await;
    assert_eq!(asked.unwrap(), Acquired::Granted);
    assert!(!b.exists(LIST).await);
}

#[tokio::test]
async fn an_append_renews_the_time_to_live_and_cuts_the_list() {
    let b = harness().await;
    b.with_messages(1..=50).await;
    b.ask::<i64>(&["PEXPIRE", &LIST.to_string(), "20000"]).await;
    b.mark(A).await;
    b.free(A, append(51)).await;
    assert_eq!(b.sequences().await, Some((2..=51).rev().collect()));
    assert_eq!(b.list(LIST).await.len(), 50);
    let left: i64 = b.ask(&["PTTL", &LIST.to_string()]).await;
    assert!(left > 20_000, "{left}");
}

#[tokio::test]
async fn a_send_does_not_create_a_list() {
    let b = harness().await;
    b.mark(A).await;
    assert!(!b.exists(LIST).await);
    b.free(A, append(1)).await;
    assert!(!b.exists(LIST).await);
}

/// The list is deleted unless the message directly follows it.
#[tokio::test]
async fn a_message_that_does_not_fit_deletes_the_list() {
    let b = harness().await;
    // A gap, a repetition, an earlier sequence, a sequence with the same first digit.
    for sequence in [5, 3, 2, 31] {
        b.with_messages(1..=3).await;
        b.mark(A).await;
        b.free(A, append(sequence)).await;
        assert!(!b.exists(LIST).await, "{sequence}");
    }
    // An aborted send.
    b.with_messages(1..=3).await;
    b.mark(A).await;
    b.free(A, Release::Delete).await;
    assert!(!b.exists(LIST).await);
    // No mark: the list was filled after the fence was lost.
    b.mark(A).await;
    b.ask::<i64>(&["DEL", &LIST.lease()]).await;
    b.with_messages(1..=3).await;
    b.free(A, append(4)).await;
    assert!(!b.exists(LIST).await);
    // The element below is of another epoch.
    b.filled(LIST, &messages(1..=3).stamped(70)).await;
    b.mark(A).await;
    b.free(A, append(4)).await;
    assert!(!b.exists(LIST).await);
}

#[tokio::test]
async fn two_writers_delete_the_list_in_either_order() {
    let b = harness().await;
    for (first, second) in [(A, B), (B, A)] {
        b.with_messages(1..=3).await;
        b.mark(A).await;
        b.mark(B).await;
        b.free(first, append(4)).await;
        assert!(!b.exists(LIST).await);
        assert_eq!(b.lease(LIST).await, [writer(second)]);
        assert_eq!(b.acquire(LIST, C).await, Acquired::Busy);
        b.free(second, append(5)).await;
        assert!(!b.exists(LIST).await);
        assert!(b.lease(LIST).await.is_empty());
    }
}

#[tokio::test]
async fn a_reader_from_before_a_mark_fills_nothing() {
    let b = harness().await;
    b.acquire(LIST, A).await;
    b.mark(B).await;
    let list = messages(1..=3).stamped(b.epoch.number);
    assert!(!b.fill(LIST, A, &list).await);
    // Nor does a reader from before the release of a lost fence.
    b.ask::<i64>(&["DEL", &LIST.lease()]).await;
    b.acquire(LIST, A).await;
    b.free(B, append(4)).await;
    assert!(!b.fill(LIST, A, &list).await);
    assert!(!b.exists(LIST).await);
}

#[tokio::test]
async fn only_exactly_the_unusable_list_is_deleted() {
    let b = harness().await;
    let name = LIST.to_string();
    b.ask::<i64>(&["RPUSH", &name, "x", "y"]).await;
    let found = b.get(LIST).await.unwrap();
    let acquire = async |spoiled: &Raw| {
        let asked = b.tier.acquire(LIST, &b.epoch, A, Some(spoiled));
        asked.await.unwrap()
    };
    for other in [&["x"][..], &["x", "z"], &["y", "x"], &["x", "y", "z"]] {
        let other = Raw::List(other.iter().map(|e| Bytes::from(*e)).collect());
        assert_eq!(acquire(&other).await, Acquired::Value(found.clone()));
    }
    assert_eq!(acquire(&found).await, Acquired::Granted);
    assert!(!b.exists(LIST).await);
    // An empty element counts as an element.
    b.ask::<i64>(&["RPUSH", &name, ""]).await;
    let found = b.get(LIST).await.unwrap();
    assert_eq!(acquire(&found).await, Acquired::Granted);
}

#[tokio::test]
async fn a_text_in_place_of_a_list_is_found_and_deleted() {
    let b = harness().await;
    let name = LIST.to_string();
    b.ask::<Value>(&["SET", &name, "x"]).await;
    assert_eq!(b.get(LIST).await, Some(one("")));
    let spoiled = one("");
    let asked = b.tier.acquire(LIST, &b.epoch, A, Some(&spoiled));
    assert_eq!(asked.await.unwrap(), Acquired::Granted);
    assert!(!b.exists(LIST).await);
    b.ask::<Value>(&["SET", &name, "x"]).await;
    b.mark(A).await;
    assert!(!b.exists(LIST).await);
    b.ask::<Value>(&["SET", &name, "x"]).await;
    b.free(A, append(4)).await;
    assert!(!b.exists(LIST).await);
}
