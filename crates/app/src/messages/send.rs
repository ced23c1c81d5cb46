//! Sending.

use parlance_domain::message::Progress;
use parlance_domain::{
    Channel, Conversation, DeliveryPolicy, Message, MessageId, Owner, Timestamp, Violation,
};
use parlance_storage::{Touch, Tx};
use uuid::Uuid;

use super::NewMessage;
use super::compose::{self, Draft};
use super::conversation_target::advanced;
use super::get::message_not_found;
use crate::App;
use crate::error::Result;
use crate::idempotency::{Replayable, RequestId, Taken, take};
use crate::write::{Attempt, held, until_done};

/// What `send_message` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage {
    /// Makes a retry safe.
    pub request_id: Option<RequestId>,
    /// What it says and where it belongs.
    pub message: NewMessage,
    /// When to send it; at once without it, or if it has passed.
    pub send_at: Option<Timestamp>,
    /// After which not to send it any more.
    pub expires_at: Option<Timestamp>,
    /// What to do when a hand-over's answer was lost.
    pub policy: DeliveryPolicy,
}

const RPC: &str = "SendMessage";

impl App {
    /// Writes a message to be delivered, and the job that a dispatcher will claim.
    pub async fn send_message(
        &self,
        owner: &Owner,
        request: SendMessage,
    ) -> Result<Replayable<Message>> {
        until_done(|| self.try_send(owner, &request)).await
    }

    async fn try_send(
        &self,
        owner: &Owner,
        request: &SendMessage,
    ) -> Result<Attempt<Replayable<Message>>> {
        let SendMessage {
            request_id,
            message: new,
            send_at,
            expires_at,
            policy,
        } = request;
        let mut tx = self.begin(owner).await?;
        let now = tx.now();
        let id = self.message_id(now);
        let found = self.lock_target(&mut tx, &new.target).await?;
        if let Taken::Before(earlier) = take(&mut tx, RPC, request_id.as_ref(), id.uuid()).await? {
            return self.replayed_message(tx, earlier).await;
        }
        let before = match &found {
            Some(found) => found.clone(),
            None => self.opened(&tx, &new.target)?,
        };
        let channel = compose::channel(&new.target, &before, !new.attachments.is_empty());
        let mut wrong = compose::wrong(new, channel, false, self.limits());
        wrong.extend(wrong_times(channel, now, *send_at, *expires_at));
        compose::refuse(wrong)?;
        let (send_at, expires_at) = (send_at.filter(|at| *at > now), *expires_at);

        let sender = match channel {
            Channel::Chat => None,
            Channel::Sms | Channel::Mms | Channel::Email => Some(
                self.sender_of(&mut tx, channel, &before.participant_from)
                    .await?,
            ),
        };
        let Some(conversation) = move_on(&mut tx, found.as_ref(), &before, false, now).await?
        else {
            return Ok(Attempt::Overtaken);
        };
        let attachments = self.prepare_attachments(&mut tx, new).await?;
        let progress = match (&sender, send_at) {
            (None, _) => Progress::delivered(now),
            (Some(_), None) => Progress::pending(),
            (Some(_), Some(_)) => Progress::scheduled(),
        };
        let draft = Draft {
            id,
            conversation: &conversation,
            new,
            attachments: &attachments,
            received: false,
            created_at: now,
            progress,
        };
        let mut message = draft.message();
        message.policy = *policy;
        message.send_at = send_at;
        message.expires_at = expires_at.or_else(|| {
            let expiry = sender.as_ref()?.default_expiry?;
            Some(send_at.unwrap_or(now).plus(expiry))
        });
        message.provider = sender.as_ref().map(|sender| sender.provider.clone());
        tx.insert_message(&message, &conversation).await?;
        // What follows touches nothing more.
        let fence = self.fence_early(&tx);
        compose::store_attachments(&mut tx, id, attachments).await?;
        if let Some(sender) = sender {
            tx.insert_delivery(&message, &sender).await?;
        }
        self.commit_fenced(tx, fence).await?;
        Ok(Attempt::Done(Replayable::fresh(message)))
    }

    /// What an earlier request under the same id made, as it is now; gone if it was deleted.
    pub(super) async fn replayed_message(
        &self,
        mut tx: Tx,
        id: Uuid,
    ) -> Result<Attempt<Replayable<Message>>> {
        let id = MessageId::from_uuid(id);
        let message = tx.message(id).await?.ok_or_else(|| message_not_found(id))?;
        self.replayed(tx, message).await
    }

    /// The first request may have been cut off before the cache was told: it is told again.
    pub(super) async fn replayed(
        &self,
        mut tx: Tx,
        message: Message,
    ) -> Result<Attempt<Replayable<Message>>> {
        let of = message.conversation_id;
        let user = tx.user_of(of).await?;
        tx.touch(Touch::ConversationChanged(of, user.clone()));
        tx.touch(Touch::MessageChanged(message.id, of, user));
        self.commit(tx).await?;
        Ok(Attempt::Done(Replayable::replayed(message)))
    }
}

/// Chat is not delivered, so it cannot wait. Whether a time has passed is looked at only here: a request that is repeated
/// after it has expired is still answered with its message.
pub(super) fn wrong_times(
    channel: Channel,
    now: Timestamp,
    send_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
) -> Vec<Violation> {
    const THERE: &str = "a chat message is there at once; leave it out";
    let chat = channel == Channel::Chat;
    let rules = [
        ("send_at", chat && send_at.is_some(), THERE),
        ("expires_at", chat && expires_at.is_some(), THERE),
        (
            "expires_at",
            !chat && expires_at.is_some_and(|at| at <= now),
            "has passed; give a later time",
        ),
    ];
    rules
        .into_iter()
        .filter(|(_, broken, _)| *broken)
        .map(|(field, _, why)| Violation::new(field, why))
        .collect()
}

/// Gives the conversation one more target, or opens it with its first; `None` if somebody else has just opened it.
pub(super) async fn move_on(
    tx: &mut Tx,
    found: Option<&Conversation>,
    before: &Conversation,
    counts_unread: bool,
    came_at: Timestamp,
) -> Result<Option<Conversation>> {
    let mut conversation = advanced(before, counts_unread, came_at)?;
    conversation.updated_at = tx.now();
    let Some(found) = found else {
        return Ok(tx
            .insert_conversation(&conversation)
            .await?
            .then_some(conversation));
    };
    conversation.version += 1;
    let announced = found.status != conversation.status;
    held(
        tx.update_conversation(found, &conversation, announced)
            .await?,
    )?;
    Ok(Some(conversation))
}
