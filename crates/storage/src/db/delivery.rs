//! The jobs of messages that are to leave.

use parlance_domain::{
    Channel, ConversationId, Message, MessageId, Owner, Sender, SenderId, Timestamp,
};

use crate::conn::Database;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::rows::delivery::DeliveryRow;
use crate::tx::{Guarded, Tx};

/// A job that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub owner: Owner,
    /// Which message.
    pub message_id: MessageId,
    /// The sender that it leaves from.
    pub sender_id: SenderId,
    /// The hand-over that this is; recorded, so that whoever comes later knows that it was begun.
    pub attempt: i32,
    /// Whether the one before was begun and its outcome never written: it may have left.
    pub answer_lost: bool,
    /// When it became due.
    pub due_at: Timestamp,
    /// When its worker has lost it.
    pub lease_until: Timestamp,
}

/// What a claim finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimResult {
    /// Jobs that are the claimer's now.
    pub claims: Vec<Claim>,
    /// Scheduled messages whose time has come: they are claimed when they have taken their place in the line.
    pub due_scheduled: Vec<DueScheduledDelivery>,
}

/// A scheduled message whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueScheduledDelivery {
    /// Whose.
    pub owner: Owner,
    /// In whose line it is to stand.
    pub conversation_id: ConversationId,
    /// Which message.
    pub message_id: MessageId,
}

/// Jobs that wait, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// On which channel.
    pub channel: Channel,
    /// `scheduled`, `waiting` or `claimed`.
    pub state: String,
    /// Whether they wait for a release.
    pub held: bool,
    /// How many.
    pub depth: i64,
    /// When the oldest became due, or will.
    pub oldest_due: Option<Timestamp>,
}

impl Database {
    /// Claims up to `limit` jobs that are due, each until its lease ends. Instances that claim at once share them.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: i64,
    ) -> StorageResult<ClaimResult> {
        let mut lease = self.writer().await?;
        let rows = on!(lease, |c, q| q::delivery::claimable(c, now.into(), limit))?;
        let (scheduled, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.state == "scheduled");
        let claimed = ClaimResult {
            claims: rows
                .iter()
                .map(|row| claim(row, lease_until))
                .collect::<StorageResult<_>>()?,
            due_scheduled: scheduled
                .iter()
                .map(due_scheduled)
                .collect::<StorageResult<_>>()?,
        };
        if rows.is_empty() {
            lease.rollback().await?;
            return Ok(claimed);
        }
        let ids: Vec<Id> = rows.iter().map(|row| row.message_id).collect();
        on!(lease, |c, q| q::delivery::claim(
            c,
            ids.clone(),
            lease_until.into()
        ))?;
        lease.commit().await?;
        Ok(claimed)
    }

    /// When the next job can be claimed.
    pub async fn next_delivery_due(&self) -> StorageResult<Option<Timestamp>> {
        let due = read!(self, |c, q| q::delivery::next_due(c))?;
        Ok(due.map(Into::into))
    }

    /// What waits, by channel and state.
    pub async fn queue_depths(&self) -> StorageResult<Vec<QueueDepth>> {
        let (released, present) = read!(self, |c, q| q::hold::held_range(c))?;
        let rows = read!(self, |c, q| q::delivery::queues(c))?;
        let held = |generation| (released..present).contains(&generation);
        let rows = rows
            .into_iter()
            .map(|(channel, state, generation, depth, oldest)| {
                queue((channel, state, held(generation), depth, oldest))
            });
        rows.collect()
    }
}

impl Tx {
    /// The job of a message, for a dispatcher to claim once it is due.
    pub async fn insert_delivery(
        &mut self,
        message: &Message,
        sender: &Sender,
    ) -> StorageResult<()> {
        let (owner, conversation) = (self.owner.clone(), Id(message.conversation_id.uuid()));
        let scheduled = message.send_at.is_some();
        // What is scheduled is not in the line: it must not hold up what is sent before its time.
        let line = if scheduled {
            None
        } else {
            self.line(message).await?
        };
        let row = DeliveryRow {
            message_id: Id(message.id.uuid()),
            owner: owner.as_str().to_owned(),
            conversation_id: conversation,
            sequence: message.sequence,
            sender_id: Id(sender.id.uuid()),
            channel: message.channel.as_str().to_owned(),
            provider: sender.provider.clone(),
            state: if scheduled { "scheduled" } else { "waiting" }.to_owned(),
            attempt: message.progress.attempt,
            due_at: message.send_at.unwrap_or(self.now).into(),
            expires_at: message.expires_at.map(Into::into),
            created_at: self.now.into(),
        };
        if line.is_none() {
            self.note_job(message.send_at.unwrap_or(self.now));
        }
        on!(self.lease, |c, q| q::delivery::insert(c, &row, line))
    }

    /// Moves a scheduled job to another time; `Stale` if it has left already.
    pub async fn reschedule_delivery(
        &mut self,
        message: MessageId,
        due: Timestamp,
    ) -> StorageResult<Guarded> {
        self.note_job(due);
        let id = Id(message.uuid());
        on!(self.lease, |c, q| q::delivery::reschedule(
            c,
            self.owner.as_str(),
            id,
            due.into()
        ))
        .map(Guarded::from)
    }

    /// Takes a scheduled job whose time has come into the line, and says whether it is blocked there; `None` if it is not
    /// scheduled any more. The caller has locked the message.
    pub async fn enter_conversation_queue(
        &mut self,
        message: &Message,
    ) -> StorageResult<Option<bool>> {
        let line = self.line(message).await?;
        let blocked = line.is_some();
        let (owner, id) = (self.owner.clone(), Id(message.id.uuid()));
        let entered = on!(self.lease, |c, q| q::delivery::enter_conversation_queue(
            c,
            owner.as_str(),
            id,
            self.now.into(),
            line
        ))?;
        if entered && !blocked {
            self.note_job(self.now);
        }
        Ok(entered.then_some(blocked))
    }

    /// The generation of the line that a job of this message's conversation comes into behind others.
    async fn line(&mut self, message: &Message) -> StorageResult<Option<i64>> {
        let conversation = Id(message.conversation_id.uuid());
        on!(self.lease, |c, q| q::delivery::line(
            c,
            self.owner.as_str(),
            conversation
        ))
    }

    /// The last attempt of a message's job, if it has one.
    pub async fn delivery_attempt(&mut self, message: MessageId) -> StorageResult<Option<i32>> {
        on!(self.lease, |c, q| q::delivery::attempt(
            c,
            self.owner.as_str(),
            Id(message.uuid())
        ))
    }

    /// Gives a claimed job back for later; `Stale` if its worker has lost it.
    pub async fn give_delivery_back(
        &mut self,
        message: MessageId,
        attempt: i32,
        due: Timestamp,
    ) -> StorageResult<Guarded> {
        self.note_job(due);
        let (owner, id) = (self.owner.clone(), Id(message.uuid()));
        on!(self.lease, |c, q| q::delivery::give_back(
            c,
            owner.as_str(),
            id,
            attempt,
            due.into()
        ))
        .map(Guarded::from)
    }

    /// Takes back the job of a message that nobody has claimed; `Stale` if somebody has.
    pub async fn withdraw_delivery(&mut self, message: &Message) -> StorageResult<Guarded> {
        let (owner, id) = (self.owner.clone(), Id(message.id.uuid()));
        let withdrawn = on!(self.lease, |c, q| q::delivery::withdraw(
            c,
            owner.as_str(),
            id
        ))?;
        self.free_next(withdrawn.flatten(), message).await?;
        Ok(withdrawn.is_some().into())
    }

    /// The message does not wait to leave any more, whoever has its job; `None` if it had none, or else the job's last attempt.
    pub async fn delete_delivery(&mut self, message: &Message) -> StorageResult<Option<i32>> {
        let (owner, id) = (self.owner.clone(), Id(message.id.uuid()));
        let deleted = on!(self.lease, |c, q| q::delivery::delete(
            c,
            owner.as_str(),
            id
        ))?;
        let Some((attempt, line)) = deleted else {
            return Ok(None);
        };
        self.free_next(line, message).await?;
        Ok(Some(attempt))
    }

    /// The next of the line may go if the first has gone.
    async fn free_next(&mut self, line: Option<i64>, message: &Message) -> StorageResult<()> {
        let Some(generation) = line else {
            return Ok(());
        };
        let conversation = Id(message.conversation_id.uuid());
        if on!(self.lease, |c, q| q::delivery::unblock_next(
            c,
            self.owner.as_str(),
            conversation,
            generation
        ))? {
            self.note_job(self.now);
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
        conversation_id: ConversationId::from_uuid(row.conversation_id.0),
        message_id: MessageId::from_uuid(row.message_id.0),
    })
}

fn claim(row: &DeliveryRow, lease_until: Timestamp) -> StorageResult<Claim> {
    Ok(Claim {
        owner: owner(row)?,
        message_id: MessageId::from_uuid(row.message_id.0),
        sender_id: SenderId::from_uuid(row.sender_id.0),
        attempt: row.attempt + 1,
        answer_lost: row.state == "claimed",
        due_at: row.due_at.into(),
        lease_until,
    })
}

fn queue(
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
