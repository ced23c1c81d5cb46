//! Claims carry what a hand-over needs.

use std::time::Duration;

use parlance_storage::Guarded;

use crate::hold::{claim, ready, send};
use crate::inconsistent::without_checks;
use crate::support::{Db, at, committed, open, owner};

const LEASE: Duration = Duration::from_mins(1);

on_both! {
    async fn a_claim_has_its_sender(db: Db) {
        let owner = owner("acme");
        let mut expected = Vec::new();
        for _ in 0..3 {
            let from = ready(&db.open, &owner).await;
            let target = open(&db.open, &owner).await.id;
            expected.push((send(&db.open, &from, target).await.id, from));
        }
        let claimed = db.open.claim_deliveries(at(9), at(9).plus(LEASE), 10).await.unwrap();
        let mut found: Vec<_> = claimed.claims.into_iter().map(|claim| (claim.message_id, (*claim.sender).clone())).collect();
        found.sort_by_key(|(id, _)| *id);
        expected.sort_by_key(|(id, _)| *id);
        assert_eq!(found, expected);
    }

    /// Its deliveries are postponed, so that they are not looked at all the time, and no attempt is counted.
    async fn an_unreadable_sender_does_not_stop_the_others(db: Db) {
        let owner = owner("acme");
        let (damaged, intact) = (ready(&db.open, &owner).await, ready(&db.open, &owner).await);
        let (first, second) = (open(&db.open, &owner).await.id, open(&db.open, &owner).await.id);
        let postponed = send(&db.open, &damaged, first).await.id;
        let sent = send(&db.open, &intact, second).await.id;
        without_checks(&db, "senders", &format!("channel = 'later' WHERE address = '{}'", damaged.address)).await;
        assert_eq!(claim(&db.open).await, [sent]);
        assert_eq!(claim(&db.open).await, []);
        let later = at(9).plus(LEASE);
        assert_eq!(db.open.next_delivery_due().await.unwrap(), Some(later));
        // An instance that can read it hands the message over for the first time.
        without_checks(&db, "senders", "channel = 'sms'").await;
        let claimed = db.open.claim_deliveries(later, later.plus(LEASE), 10).await.unwrap().claims;
        let claimed: Vec<_> = claimed.iter().map(|claim| (claim.message_id, claim.attempt, claim.answer_lost)).collect();
        assert!(claimed.contains(&(postponed, 1, false)), "{claimed:?}");
        assert!(claimed.contains(&(sent, 2, true)), "{claimed:?}");
    }

    /// The message of a claim could not be read.
    async fn an_undone_claim_counts_no_attempt(db: Db) {
        let owner = owner("acme");
        let from = ready(&db.open, &owner).await;
        let target = open(&db.open, &owner).await.id;
        send(&db.open, &from, target).await;
        let mut now = at(9);
        for (undone, attempt, answer_lost) in [(true, 1, false), (false, 1, false), (true, 2, true), (false, 2, true)] {
            let claimed = db.open.claim_deliveries(now, now.plus(LEASE), 10).await.unwrap().claims;
            assert_eq!((claimed[0].attempt, claimed[0].answer_lost), (attempt, answer_lost));
            if undone {
                let mut tx = db.open.begin(&owner, now).await.unwrap();
                assert_eq!(tx.undo_claim(&claimed[0]).await.unwrap(), Guarded::Updated);
                assert_eq!(tx.undo_claim(&claimed[0]).await.unwrap(), Guarded::Stale);
                committed(tx).await;
            }
            assert_eq!(claim(&db.open).await, [], "not due");
            now = now.plus(LEASE);
        }
    }
}
