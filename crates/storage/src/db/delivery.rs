//! Deliveries of outbound messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parlance_domain::{Channel, Message, MessageId, Owner, Sender, Timestamp};

pub use crate::model::delivery::{Claim, ClaimResult, DueScheduledDelivery, QueueDepth};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::model::guarded::Guarded;
use crate::rows::delivery::DeliveryRow;
use crate::rows::sender::SenderRow;

impl Database {
    /// Claims up to `limit` deliveries that are due, each until its lease ends. Instances that claim at once share
    /// them.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: i64,
    ) -> StorageResult<ClaimResult> {
        let mut connection = self.writer().await?;
        let rows = on!(connection, |c, q| q::delivery::claimable(
            c,
            now.into(),
            limit
        ))?;
        let (scheduled, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.state == "scheduled");
        let mut claimed = ClaimResult {
            claims: Vec::with_capacity(rows.len()),
            due_scheduled: scheduled
                .iter()
                .map(due_scheduled)
                .collect::<StorageResult<_>>()?,
        };
        if rows.is_empty() {
            connection.rollback().await?;
            return Ok(claimed);
        }
        let senders: HashSet<Id> = rows.iter().map(|row| row.sender_id).collect();
        let senders: Vec<Id> = senders.into_iter().collect();
        let senders = on!(connection, |c, q| q::sender::of_deliveries(
            c,
            senders.clone()
        ))?;
        let senders = readable_senders(senders);
        let mut ids = Vec::with_capacity(rows.len());
        let mut unreadable = Vec::new();
        for row in &rows {
            if let Some(sender) = senders.get(&row.sender_id) {
                claimed.claims.push(claim(row, sender, lease_until)?);
                ids.push(row.message_id);
            } else {
                unreadable.push(row.message_id);
            }
        }
        if !ids.is_empty() {
            on!(connection, |c, q| q::delivery::claim(
                c,
                ids.clone(),
                lease_until.into()
            ))?;
        }
        if !unreadable.is_empty() {
            // No attempt begins: an instance of another version may be able to read the sender. Postponed, so that they
            // are not looked at all the time.
            on!(connection, |c, q| q::delivery::postpone(
                c,
                unreadable.clone(),
                lease_until.into()
            ))?;
        }
        connection.commit().await?;
        Ok(claimed)
    }

    /// Returns when the next delivery can be claimed.
    pub async fn next_delivery_due(&self) -> StorageResult<Option<Timestamp>> {
        let due = read!(self, |c, q| q::delivery::next_due(c))?;
        Ok(due.map(Into::into))
    }

    /// Returns the waiting deliveries, by channel and state.
    pub async fn queue_depths(&self) -> StorageResult<Vec<QueueDepth>> {
        let (released, present) = read!(self, |c, q| q::hold::held_range(c))?;
        let rows = read!(self, |c, q| q::delivery::queues(c))?;
        let held = |generation| (released..present).contains(&generation);
        let rows = rows
            .into_iter()
            .map(|(channel, state, generation, depth, oldest)| {
                queue_depth((channel, state, held(generation), depth, oldest))
            });
        rows.collect()
    }
}

impl Tx {
    /// Inserts the delivery of a message, for a dispatcher to claim once it is due.
    pub async fn insert_delivery(
        &mut self,
        message: &Message,
        sender: &Sender,
    ) -> StorageResult<()> {
        let (owner, conversation) = (self.owner.clone(), Id::from(message.conversation_id));
        let scheduled = message.send_at.is_some();
        // A scheduled delivery is not in the queue: it must not delay what is sent before its time.
        let queue = if scheduled {
            None
        } else {
            self.queue_generation(message).await?
        };
        let row = DeliveryRow {
            message_id: message.id.into(),
            owner: owner.as_str().to_owned(),
            conversation_id: conversation,
            sequence: message.sequence,
            sender_id: sender.id.into(),
            channel: message.channel.as_str().to_owned(),
            provider: sender.provider.clone(),
            state: if scheduled { "scheduled" } else { "waiting" }.to_owned(),
            attempt: message.progress.attempt,
            due_at: message.send_at.unwrap_or(self.now).into(),
            expires_at: message.expires_at.map(Into::into),
            created_at: self.now.into(),
        };
        if queue.is_none() {
            self.note_delivery(message.send_at.unwrap_or(self.now));
        }
        on!(self.connection, |c, q| q::delivery::insert(c, &row, queue))
    }

    /// Moves a scheduled delivery to another time; `Stale` if it is not scheduled any more.
    pub async fn reschedule_delivery(
        &mut self,
        message: MessageId,
        due: Timestamp,
    ) -> StorageResult<Guarded> {
        self.note_delivery(due);
        let id = Id::from(message);
        on!(self.connection, |c, q| q::delivery::reschedule(
            c,
            self.owner.as_str(),
            id,
            due.into()
        ))
        .map(Guarded::from)
    }

    /// Moves a scheduled delivery that is due into its conversation queue, and returns whether it is blocked there;
    /// `None` if it is not scheduled any more. The caller has locked the message.
    pub async fn enter_conversation_queue(
        &mut self,
        message: &Message,
    ) -> StorageResult<Option<bool>> {
        let queue = self.queue_generation(message).await?;
        let blocked = queue.is_some();
        let (owner, id) = (self.owner.clone(), Id::from(message.id));
        let entered = on!(self.connection, |c, q| q::delivery::enter_queue(
            c,
            owner.as_str(),
            id,
            self.now.into(),
            queue
        ))?;
        if entered && !blocked {
            self.note_delivery(self.now);
        }
        Ok(entered.then_some(blocked))
    }

    /// Returns the generation of the conversation queue if a new delivery of this message's conversation comes behind
    /// others in it.
    async fn queue_generation(&mut self, message: &Message) -> StorageResult<Option<i64>> {
        let conversation = Id::from(message.conversation_id);
        on!(self.connection, |c, q| q::delivery::queue_generation(
            c,
            self.owner.as_str(),
            conversation
        ))
    }

    /// Returns the last attempt of a message's delivery, if it has one.
    pub async fn delivery_attempt(&mut self, message: MessageId) -> StorageResult<Option<i32>> {
        on!(self.connection, |c, q| q::delivery::attempt(
            c,
            self.owner.as_str(),
            message.into()
        ))
    }

    /// Locks a message's delivery against claims until the end of the transaction, and returns its last attempt, if it
    /// has one.
    pub async fn lock_delivery(&mut self, message: MessageId) -> StorageResult<Option<i32>> {
        on!(self.connection, |c, q| q::delivery::lock(
            c,
            self.owner.as_str(),
            message.into()
        ))
    }

    /// Returns a claimed delivery to the waiting state for later; `Stale` if its worker has lost it.
    pub async fn give_delivery_back(
        &mut self,
        message: MessageId,
        attempt: i32,
        due: Timestamp,
    ) -> StorageResult<Guarded> {
        self.note_delivery(due);
        let (owner, id) = (self.owner.clone(), Id::from(message));
        on!(self.connection, |c, q| q::delivery::give_back(
            c,
            owner.as_str(),
            id,
            attempt,
            due.into()
        ))
        .map(Guarded::from)
    }

    /// Undoes a claim of which no worker was started, and postpones the delivery to the end of the lease; `Stale` if it
    /// was claimed again since, or undone before.
    pub async fn undo_claim(&mut self, claim: &Claim) -> StorageResult<Guarded> {
        self.note_delivery(claim.lease_until);
        let (owner, id) = (self.owner.clone(), Id::from(claim.message_id));
        // An earlier attempt without an outcome still is one.
        let state = if claim.answer_lost {
            "claimed"
        } else {
            "waiting"
        };
        on!(self.connection, |c, q| q::delivery::undo_claim(
            c,
            owner.as_str(),
            id,
            claim.attempt,
            state,
            claim.lease_until.into()
        ))
        .map(Guarded::from)
    }

    /// Removes the delivery of a message unless it is claimed; `Stale` if it is.
    pub async fn withdraw_delivery(&mut self, message: &Message) -> StorageResult<Guarded> {
        let (owner, id) = (self.owner.clone(), Id::from(message.id));
        let withdrawn = on!(self.connection, |c, q| q::delivery::withdraw(
            c,
            owner.as_str(),
            id
        ))?;
        self.unblock_next(withdrawn.flatten(), message).await?;
        Ok(withdrawn.is_some().into())
    }

    /// Removes the delivery of a message, claimed or not. Returns its last attempt, or `None` if the message had no
    /// delivery.
    pub async fn delete_delivery(&mut self, message: &Message) -> StorageResult<Option<i32>> {
        let (owner, id) = (self.owner.clone(), Id::from(message.id));
        let deleted = on!(self.connection, |c, q| q::delivery::delete(
            c,
            owner.as_str(),
            id
        ))?;
        let Some((attempt, queue)) = deleted else {
            return Ok(None);
        };
        self.unblock_next(queue, message).await?;
        Ok(Some(attempt))
    }

    /// Unblocks the next delivery of the queue if the first has gone.
    async fn unblock_next(&mut self, queue: Option<i64>, message: &Message) -> StorageResult<()> {
        let Some(generation) = queue else {
            return Ok(());
        };
        let conversation = Id::from(message.conversation_id);
        if on!(self.connection, |c, q| q::delivery::unblock_next(
            c,
            self.owner.as_str(),
            conversation,
            generation
        ))? {
            self.note_delivery(self.now);
        }
        Ok(())
    }
}

fn owner(row: &DeliveryRow) -> StorageResult<Owner> {
    crate::rows::owner("deliveries", &row.owner, row.message_id.0)
}

fn due_scheduled(row: &DeliveryRow) -> StorageResult<DueScheduledDelivery> {
    Ok(DueScheduledDelivery {
        owner: owner(row)?,
        conversation_id: row.conversation_id.into(),
        message_id: row.message_id.into(),
    })
}

/// The senders that can be read: an unreadable one must not stop the messages of the others.
fn readable_senders(rows: Vec<SenderRow>) -> HashMap<Id, Arc<Sender>> {
    let mut senders = HashMap::with_capacity(rows.len());
    for row in rows {
        let id = row.id;
        match Sender::try_from(row) {
            Ok(sender) => {
                senders.insert(id, Arc::new(sender));
            }
            Err(error) => {
                tracing::error!(%error, sender_id = %id.0, "a sender cannot be read, so its messages cannot be handed over");
            }
        }
    }
    senders
}

fn claim(row: &DeliveryRow, sender: &Arc<Sender>, lease_until: Timestamp) -> StorageResult<Claim> {
    Ok(Claim {
        owner: owner(row)?,
        message_id: row.message_id.into(),
        sender: Arc::clone(sender),
        attempt: row.attempt + 1,
        answer_lost: row.state == "claimed",
        due_at: row.due_at.into(),
        lease_until,
    })
}

fn queue_depth(
    (channel, state, held, depth, oldest): (String, String, bool, i64, Option<Instant>),
) -> StorageResult<QueueDepth> {
    let bad = || StorageError::inconsistent("deliveries", "channel", &channel);
    Ok(QueueDepth {
        channel: Channel::parse(&channel).ok_or_else(bad)?,
        state,
        held,
        depth,
        oldest_due: oldest.map(Into::into),
    })
}
