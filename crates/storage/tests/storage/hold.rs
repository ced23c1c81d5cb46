//! Holding deliveries back and releasing them.

use std::time::Duration;

use parlance_domain::{ConversationId, Message, MessageId, Owner, Sender};
use parlance_storage::db::delivery::ClaimResult;
use parlance_storage::feed::FeedProgress;
use parlance_storage::{Database, Guarded};

use crate::support::write::{append_uncommitted, queued};
use crate::support::{Db, at, committed, open, owner, sender};

const LEASE: Duration = Duration::from_mins(1);

/// Stores a sender, in a database that is recorded.
pub(crate) async fn ready(db: &Database, owner: &Owner) -> Sender {
    db.settle_identity(FeedProgress::default()).await.unwrap();
    let new = sender(owner);
    let mut tx = db.begin(owner, at(0)).await.unwrap();
    assert!(tx.insert_sender(&new).await.unwrap());
    committed(tx).await;
    new
}

/// Stores a message at the end of a conversation, waiting for delivery.
pub(crate) async fn send(db: &Database, from: &Sender, to: ConversationId) -> Message {
    let mut tx = db.begin(&from.owner, at(1)).await.unwrap();
    let message = append_uncommitted(&mut tx, to).await.unwrap();
    queued(&mut tx, &message, from).await;
    committed(tx).await;
    message
}

pub(crate) async fn claim(db: &Database) -> Vec<MessageId> {
    let ClaimResult {
        claims,
        due_scheduled,
    } = db
        .claim_deliveries(at(9), at(9).plus(LEASE), 1_000)
        .await
        .unwrap();
    assert_eq!(due_scheduled, []);
    claims.into_iter().map(|claim| claim.message_id).collect()
}

/// Finishes a delivery: the provider has accepted it.
async fn finish(db: &Database, owner: &Owner, id: MessageId) {
    let mut tx = db.begin(owner, at(9)).await.unwrap();
    let finished = tx.finish_deliveries(&[(id, 1)]).await.unwrap();
    assert_eq!(finished.len(), 1);
    committed(tx).await;
}

/// Delivers everything that can be claimed, one after the other.
async fn drained(db: &Database, owner: &Owner) -> Vec<MessageId> {
    let mut left = Vec::new();
    loop {
        let claimed = claim(db).await;
        if claimed.is_empty() {
            return left;
        }
        for id in claimed {
            finish(db, owner, id).await;
            left.push(id);
        }
    }
}

async fn move_all(db: &Database) {
    while db.move_released().await.unwrap() > 0 {}
}

async fn held(db: &Db) -> i64 {
    let queues = db.open.queue_depths().await.unwrap();
    queues
        .iter()
        .filter(|queue| queue.held)
        .map(|q| q.depth)
        .sum()
}

on_both! {
    async fn a_hold_covers_waiting_deliveries_and_not_later_ones(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        let (busy, other) = (open(&db.open, &owner).await.id, open(&db.open, &owner).await.id);
        let mut before = Vec::new();
        for _ in 0..3 {
            before.push(send(&db.open, &from, busy).await.id);
        }
        before.push(send(&db.open, &from, other).await.id);

        assert_eq!(db.open.hold_deliveries().await.unwrap(), 4);
        assert_eq!(held(&db).await, 4);
        assert_eq!(claim(&db.open).await, []);
        assert_eq!(db.open.next_delivery_due().await.unwrap(), None);
        // In the same conversation too.
        let later = send(&db.open, &from, busy).await.id;
        let last = send(&db.open, &from, busy).await.id;
        assert_eq!(claim(&db.open).await, [later]);
        assert_eq!(db.open.move_released().await.unwrap(), 0);
        assert_eq!(held(&db).await, 4);

        // One of the later ones is under way, another waits for it: the released ones come before the waiting one.
        assert_eq!(db.open.release_deliveries().await.unwrap(), 4);
        move_all(&db.open).await;
        assert_eq!(held(&db).await, 0);
        assert_eq!(claim(&db.open).await, [before[3]]);
        finish(&db.open, &owner, before[3]).await;
        finish(&db.open, &owner, later).await;
        let expected = [before[0], before[1], before[2], last];
        assert_eq!(drained(&db.open, &owner).await, expected);
    }

    /// A delivery of after the hold has waited for a paused sender, or for its next attempt.
    async fn released_deliveries_come_before_unstarted_ones(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        let target = open(&db.open, &owner).await.id;
        let mut sent = Vec::new();
        for _ in 0..2 {
            sent.push(send(&db.open, &from, target).await.id);
        }
        db.open.hold_deliveries().await.unwrap();
        for _ in 0..2 {
            sent.push(send(&db.open, &from, target).await.id);
        }
        assert_eq!(db.open.release_deliveries().await.unwrap(), 2);
        move_all(&db.open).await;
        assert_eq!(claim(&db.open).await, [sent[0]], "one at a time");
        finish(&db.open, &owner, sent[0]).await;
        assert_eq!(drained(&db.open, &owner).await, sent[1..]);
    }

    /// Its worker may belong to the state before a restore, and never return.
    async fn a_released_delivery_under_hand_over_leads_its_queue(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        for comes_back in [true, false] {
            let target = open(&db.open, &owner).await.id;
            let first = send(&db.open, &from, target).await.id;
            let second = send(&db.open, &from, target).await.id;
            assert_eq!(claim(&db.open).await, [first]);
            db.open.hold_deliveries().await.unwrap();
            let third = send(&db.open, &from, target).await.id;
            db.open.release_deliveries().await.unwrap();
            move_all(&db.open).await;
            assert_eq!(claim(&db.open).await, [], "the first is under way");
            if comes_back {
                finish(&db.open, &owner, first).await;
            } else {
                let ended = at(9).plus(2 * LEASE);
                let claimed = db.open.claim_deliveries(ended, ended.plus(LEASE), 10).await.unwrap();
                let claims: Vec<_> = claimed.claims.iter().map(|c| (c.message_id, c.attempt)).collect();
                assert_eq!(claims, [(first, 2)]);
                let mut tx = db.open.begin(&owner, ended).await.unwrap();
                assert_eq!(tx.finish_deliveries(&claims).await.unwrap().len(), 1);
                committed(tx).await;
            }
            assert_eq!(drained(&db.open, &owner).await, [second, third], "{comes_back}");
        }
    }

    async fn a_second_hold_covers_released_deliveries_not_yet_sent(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        let target = open(&db.open, &owner).await.id;
        send(&db.open, &from, target).await;
        db.open.hold_deliveries().await.unwrap();
        send(&db.open, &from, target).await;
        assert_eq!(db.open.release_deliveries().await.unwrap(), 1);
        assert_eq!(db.open.hold_deliveries().await.unwrap(), 2);
        move_all(&db.open).await;
        assert_eq!((held(&db).await, claim(&db.open).await), (2, vec![]));
        assert_eq!(db.open.release_deliveries().await.unwrap(), 2);
        move_all(&db.open).await;
        assert_eq!(drained(&db.open, &owner).await.len(), 2);
    }

    /// If the first of a queue is removed while it is held, the queue has another first one, by which the rest is
    /// found.
    async fn held_messages_can_be_canceled(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        let target = open(&db.open, &owner).await.id;
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(send(&db.open, &from, target).await);
        }
        db.open.hold_deliveries().await.unwrap();
        let later = send(&db.open, &from, target).await;
        let mut tx = db.open.begin(&owner, at(9)).await.unwrap();
        assert!(tx.lock_message(sent[0].id).await.unwrap().is_some());
        assert_eq!(tx.withdraw_delivery(&sent[0]).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        assert_eq!(claim(&db.open).await, [later.id]);
        finish(&db.open, &owner, later.id).await;
        assert_eq!(db.open.release_deliveries().await.unwrap(), 2);
        move_all(&db.open).await;
        assert_eq!(drained(&db.open, &owner).await, [sent[1].id, sent[2].id]);
    }

    /// More than one transaction moves, in one conversation and in many.
    async fn a_long_queue_is_released_in_order(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        let target = open(&db.open, &owner).await.id;
        let mut sent = Vec::new();
        for _ in 0..510 {
            sent.push(send(&db.open, &from, target).await.id);
        }
        for _ in 0..70 {
            let target = open(&db.open, &owner).await.id;
            send(&db.open, &from, target).await;
        }
        db.open.hold_deliveries().await.unwrap();
        assert_eq!(db.open.release_deliveries().await.unwrap(), 580);
        move_all(&db.open).await;
        let left = drained(&db.open, &owner).await;
        assert_eq!(left.len(), 580);
        let of_line: Vec<_> = left.into_iter().filter(|id| sent.contains(id)).collect();
        assert_eq!(of_line, sent);
    }
}
