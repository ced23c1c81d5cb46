//! An upload is for one message, of its owner, for a limited time.

use parlance_domain::{Attachment, AttachmentId, Message, Owner};
use parlance_storage::db::attachment::{CHUNKS_PER_PRUNE, PruneResult};
use parlance_storage::{Database, Guarded};

use crate::support::write::append_uncommitted;
use crate::support::{Db, append, at, attachment, committed, open, owner};

async fn uploaded(db: &Database, owner: &Owner) -> AttachmentId {
    let new = Attachment {
        size_bytes: 0,
        ..attachment()
    };
    db.begin_upload(owner, &new, at(0), at(100)).await.unwrap();
    for (position, piece) in [(0, b"ab".to_vec()), (1, b"c".to_vec())] {
        let done = db.append_upload(owner, new.id, position, piece).await;
        assert_eq!(done.unwrap(), Guarded::Updated);
    }
    let done = db.complete_upload(owner, new.id, 3).await.unwrap();
    assert_eq!(done, Guarded::Updated);
    new.id
}

on_both! {
    /// Without `message_id IS NULL` in the claim the later one takes it away.
    async fn one_of_many_claims_wins(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let id = uploaded(&db.open, &owner).await;
        let mut claims = Vec::new();
        for n in 0..4 {
            let message = append(&db.open, &owner, target.id).await.unwrap();
            let (db, owner) = (db.open.clone(), owner.clone());
            claims.push(tokio::spawn(async move {
                let mut tx = db.begin(&owner, at(n)).await.unwrap();
                let done = tx.claim_upload(id, message.id).await.unwrap();
                committed(tx).await;
                (done, message.id)
            }));
        }
        let mut winners = Vec::new();
        for claim in claims {
            let (done, message) = claim.await.unwrap();
            if done == Guarded::Updated { winners.push(message) }
        }
        assert_eq!(winners.len(), 1);
        let found = db.open.attachment(&owner, winners[0], id).await.unwrap().unwrap();
        assert_eq!(found.size_bytes, 3);
        assert_eq!(db.open.attachment_chunk(&owner, id, 1).await.unwrap(), Some(b"c".to_vec()));

        // It belongs to the message now: the expiry of uploads does not apply to it any more.
        db.open.discard_upload(&owner, id).await.unwrap();
        assert_eq!(db.open.prune_uploads(at(1_000_000)).await.unwrap().removed, 0);
        assert_eq!(db.open.complete_upload(&owner, id, 9).await.unwrap(), Guarded::Stale);
        assert_eq!(db.open.append_upload(&owner, id, 2, vec![0]).await.unwrap(), Guarded::Stale);
        assert_eq!(db.open.attachment(&owner, winners[0], id).await.unwrap(), Some(found));
    }

    async fn incomplete_and_expired_uploads_cannot_be_claimed(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let message = append(&db.open, &owner, target.id).await.unwrap();
        let unfinished = attachment();
        db.open.begin_upload(&owner, &unfinished, at(0), at(100)).await.unwrap();
        let finished = uploaded(&db.open, &owner).await;
        for (now, id, there) in [(99, unfinished.id, false), (100, finished, false), (99, finished, true)] {
            let mut tx = db.open.begin(&owner, at(now)).await.unwrap();
            assert_eq!(tx.upload(id).await.unwrap().is_some(), there);
            let done = tx.claim_upload(id, message.id).await.unwrap();
            assert_eq!(done, Guarded::from(there));
            tx.rollback().await.unwrap();
        }
        // A complete upload does not change.
        assert_eq!(db.open.append_upload(&owner, finished, 2, vec![0]).await.unwrap(), Guarded::Stale);
        assert_eq!(db.open.complete_upload(&owner, finished, 9).await.unwrap(), Guarded::Stale);

        assert_eq!(db.open.prune_uploads(at(99)).await.unwrap().removed, 0);
        assert_eq!(db.open.prune_uploads(at(100)).await.unwrap(), PruneResult { removed: 2, more: false });
        assert_eq!(db.count("attachments").await, 0);
        assert_eq!(db.count("attachment_chunks").await, 0, "the content goes too");
        assert_eq!(db.open.complete_upload(&owner, unfinished.id, 1).await.unwrap(), Guarded::Stale);
        assert_eq!(db.open.append_upload(&owner, unfinished.id, 0, vec![0]).await.unwrap(), Guarded::Stale);
    }

    /// A content that is larger than one transaction should remove is removed in steps, and no message uses the rest of
    /// it.
    async fn content_is_removed_in_bounded_steps(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        let message = append(d, &owner, target.id).await.unwrap();
        let large = attachment();
        d.begin_upload(&owner, &large, at(0), at(100)).await.unwrap();
        let pieces = 2 * CHUNKS_PER_PRUNE + 10;
        for position in 0..i32::try_from(pieces).unwrap() {
            assert_eq!(d.append_upload(&owner, large.id, position, vec![7]).await.unwrap(), Guarded::Updated);
        }
        assert_eq!(d.complete_upload(&owner, large.id, pieces).await.unwrap(), Guarded::Updated);
        for left in [CHUNKS_PER_PRUNE + 10, 10] {
            let step = d.prune_uploads(at(100)).await.unwrap();
            assert_eq!(step, PruneResult { removed: 0, more: true });
            assert_eq!(db.count("attachment_chunks").await, left);
            // By a clock that is behind it has not expired.
            let mut tx = d.begin(&owner, at(99)).await.unwrap();
            assert_eq!(tx.upload(large.id).await.unwrap(), None);
            assert_eq!(tx.claim_upload(large.id, message.id).await.unwrap(), Guarded::Stale);
            tx.rollback().await.unwrap();
        }
        assert_eq!(d.prune_uploads(at(100)).await.unwrap(), PruneResult { removed: 1, more: false });
        assert_eq!(db.count("attachment_chunks").await + db.count("attachments").await, 0);
    }

    /// The rows of uploads are bounded in each step too, even without content.
    async fn at_most_500_uploads_are_removed_by_each_step(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        for _ in 0..501 {
            d.begin_upload(&owner, &attachment(), at(0), at(100)).await.unwrap();
        }
        assert_eq!(d.prune_uploads(at(100)).await.unwrap(), PruneResult { removed: 500, more: true });
        assert_eq!(d.prune_uploads(at(100)).await.unwrap(), PruneResult { removed: 1, more: false });
        assert_eq!(db.count("attachments").await, 0);
    }

    /// Deleting a message does not remove the content of its attachments, which may be large: a later step does.
    async fn content_of_a_deleted_message_is_left_to_the_pruning(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        let message = append_uncommitted(&mut tx, target.id).await.unwrap();
        let held = attachment();
        let content = [b"a", b"b", b"c"].map(|piece| piece.to_vec()).to_vec();
        tx.insert_attachment(&held, message.id, content).await.unwrap();
        committed(tx).await;
        let message = Message { attachments: vec![held], ..message };
        let mut tx = d.begin(&owner, at(9)).await.unwrap();
        assert_eq!(tx.delete_message(&message, "ada").await.unwrap(), Guarded::Updated);
        committed(tx).await;
        assert_eq!(db.count("messages").await, 0);
        assert_eq!(db.count("attachment_chunks").await, 3);
        assert_eq!(d.prune_uploads(at(0)).await.unwrap(), PruneResult { removed: 1, more: false });
        assert_eq!(db.count("attachments").await + db.count("attachment_chunks").await, 0);
    }
}
