//! Claims carry what a hand-over needs.

use std::time::Duration;

use crate::hold::{claim, ready, send};
use crate::inconsistent::without_checks;
use crate::support::{Db, at, open, owner};

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

    /// Its deliveries are claimed, so that they are not looked at all the time, and handed over to no worker.
    async fn an_unreadable_sender_does_not_stop_the_others(db: Db) {
        let owner = owner("acme");
        let (damaged, intact) = (ready(&db.open, &owner).await, ready(&db.open, &owner).await);
        let (first, second) = (open(&db.open, &owner).await.id, open(&db.open, &owner).await.id);
        send(&db.open, &damaged, first).await;
        let sent = send(&db.open, &intact, second).await.id;
        without_checks(&db, "senders", &format!("channel = 'later' WHERE address = '{}'", damaged.address)).await;
        assert_eq!(claim(&db.open).await, [sent]);
        assert_eq!(claim(&db.open).await, []);
        assert_eq!(db.open.next_delivery_due().await.unwrap(), Some(at(9).plus(LEASE)));
    }
}
