//! Sends messages.

use parlance_domain::message::{Progress, ScheduleView};
use parlance_domain::{
    Channel, Conversation, DeliveryPolicy, Message, MessageId, Owner, Timestamp,
};
use parlance_storage::{Touch, Tx};
use uuid::Uuid;

use super::NewMessage;
use super::compose::{self, Draft};
use super::conversation_target::advanced;
use super::get::message_not_found;
use crate::App;
use crate::error::Result;
use crate::idempotency::{KeyUse, Replayable, RequestId, take_key};
use crate::write::{TryResult, ensure_updated, retry_on_conflict};

/// Request of `send_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage {
    /// Key that makes a retry safe.
    pub request_id: Option<RequestId>,
    /// Content and target.
    pub message: NewMessage,
    /// When to send it; at once without it, or if the time has passed.
    pub send_at: Option<Timestamp>,
    /// When the message expires.
    pub expires_at: Option<Timestamp>,
    /// What to do when the answer of a hand-over was lost.
    pub policy: DeliveryPolicy,
}

const RPC: &str = "SendMessage";

impl App {
    /// Stores a message and its delivery, which a dispatcher will claim.
    pub async fn send_message(
        &self,
        owner: &Owner,
        request: SendMessage,
    ) -> Result<Replayable<Message>> {
        retry_on_conflict(|| self.try_send(owner, &request)).await
    }

    async fn try_send(
        &self,
        owner: &Owner,
        request: &SendMessage,
    ) -> Result<TryResult<Replayable<Message>>> {
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
        if let KeyUse::Repeated(earlier) =
            take_key(&mut tx, RPC, request_id.as_ref(), id.uuid()).await?
        {
            return self.replayed_message(tx, earlier).await;
        }
        let before = match &found {
            Some(found) => found.clone(),
            None => self.new_conversation(&tx, &new.target)?,
        };
        let channel = compose::channel(&new.target, &before, !new.attachments.is_empty());
        let mut violations = compose::violations(new, channel, false, self.limits());
        let schedule = ScheduleView {
            channel: Some(channel),
            send_at: *send_at,
            expires_at: *expires_at,
        };
        violations.extend(schedule.check(Some(now)));
        compose::ensure_valid(violations)?;
        let (send_at, expires_at) = (send_at.filter(|at| *at > now), *expires_at);

        let sender = match channel {
            Channel::Chat => None,
            Channel::Sms | Channel::Mms | Channel::Email => Some(
                self.sender_of(&mut tx, channel, &before.participant_from)
                    .await?,
            ),
        };
        let Some(conversation) =
            advance_conversation(&mut tx, found.as_ref(), &before, false, now).await?
        else {
            return Ok(TryResult::Conflict);
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
        // The statements below touch no further cache key.
        let fence = self.fence_early(&tx);
        compose::store_attachments(&mut tx, id, attachments).await?;
        if let Some(sender) = sender {
            tx.insert_delivery(&message, &sender).await?;
        }
        self.commit_fenced(tx, fence).await?;
        Ok(TryResult::Done(Replayable::fresh(message)))
    }

    /// The message of an earlier request under the same id, as it is now; not found if it was deleted.
    pub(super) async fn replayed_message(
        &self,
        mut tx: Tx,
        id: Uuid,
    ) -> Result<TryResult<Replayable<Message>>> {
        let id = MessageId::from_uuid(id);
        let message = tx.message(id).await?.ok_or_else(|| message_not_found(id))?;
        self.replayed(tx, message).await
    }

    /// Returns the message of an earlier request, which may have been interrupted before the cache was invalidated:
    /// invalidates it again.
    pub(super) async fn replayed(
        &self,
        mut tx: Tx,
        message: Message,
    ) -> Result<TryResult<Replayable<Message>>> {
        let of = message.conversation_id;
        let user = tx.user_of(of).await?;
        tx.touch(Touch::ConversationChanged(of, user.clone()));
        tx.touch(Touch::MessageChanged(message.id, of, user));
        self.commit(tx).await?;
        Ok(TryResult::Done(Replayable::replayed(message)))
    }
}

/// Adds one message to the conversation, or creates it; `None` if another transaction has just created it.
pub(super) async fn advance_conversation(
    tx: &mut Tx,
    found: Option<&Conversation>,
    before: &Conversation,
    counts_unread: bool,
    arrived_at: Timestamp,
) -> Result<Option<Conversation>> {
    let mut conversation = advanced(before, counts_unread, arrived_at)?;
    conversation.updated_at = tx.now();
    let Some(found) = found else {
        return Ok(tx
            .insert_conversation(&conversation)
            .await?
            .then_some(conversation));
    };
    conversation.version += 1;
    let announced = found.status != conversation.status;
    ensure_updated(
        tx.update_conversation(found, &conversation, announced)
            .await?,
    )?;
    Ok(Some(conversation))
}
