//! Receives messages: one path for the API and for providers.

use parlance_domain::message::Progress;
use parlance_domain::{Channel, Message, Owner, Timestamp};

use super::NewMessage;
use super::compose::{self, Draft};
use super::send::advance_conversation;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::idempotency::{KeyUse, Replayable, RequestId, take_key};
use crate::write::{TryResult, none_on_conflict, retry_on_conflict};

const RPC: &str = "ReceiveMessage";

/// Request of `receive_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveMessage {
    /// Key that makes a retry safe.
    pub request_id: Option<RequestId>,
    /// Content and target.
    pub message: NewMessage,
    /// The provider that delivered it.
    pub provider: String,
    /// The provider's id: a message that is delivered twice is stored once.
    pub provider_message_id: String,
    /// When it arrived; now without it.
    pub received_at: Option<Timestamp>,
}

impl App {
    /// Stores an inbound message. One that the provider has delivered before is returned as it is now. If that one
    /// was deleted, it is not found, as for a `request_id` after its message was deleted: a redelivery does not
    /// restore it.
    pub async fn receive_message(
        &self,
        owner: &Owner,
        request: ReceiveMessage,
    ) -> Result<Replayable<Message>> {
        retry_on_conflict(|| self.try_receive(owner, &request)).await
    }

    async fn try_receive(
        &self,
        owner: &Owner,
        request: &ReceiveMessage,
    ) -> Result<TryResult<Replayable<Message>>> {
        let ReceiveMessage {
            request_id,
            message: new,
            provider,
            provider_message_id,
            received_at,
        } = request;
        let mut tx = self.begin(owner).await?;
        let now = tx.now();
        let id = self.message_id(now);
        let found = self.lock_target(&mut tx, &new.target).await?;
        if let Some(first) = tx
            .message_by_provider_id(provider, provider_message_id)
            .await?
        {
            return self.replayed(tx, first).await;
        }
        if tx.was_deleted(provider, provider_message_id).await? {
            return Err(deleted());
        }
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
        compose::ensure_valid(compose::violations(new, channel, true, self.limits()))?;
        if channel != Channel::Chat {
            self.sender_of(&mut tx, channel, &before.participant_from)
                .await?;
        }
        // A provider's clock that is ahead must not sort the conversation above all others.
        let arrived_at = received_at.map_or(now, |at| at.min(now));
        let Some(conversation) =
            advance_conversation(&mut tx, found.as_ref(), &before, true, arrived_at).await?
        else {
            return Ok(TryResult::Conflict);
        };
        let attachments = self.prepare_attachments(&mut tx, new).await?;
        let draft = Draft {
            id,
            conversation: &conversation,
            new,
            attachments: &attachments,
            received: true,
            created_at: arrived_at,
            progress: Progress::received(),
        };
        let mut message = draft.message();
        message.provider = Some(provider.clone());
        message.provider_message_id = Some(provider_message_id.clone());
        // Delivered twice at once, into two conversations: the next attempt finds the first.
        if none_on_conflict(tx.insert_message(&message, &conversation).await)?.is_none() {
            return Ok(TryResult::Conflict);
        }
        compose::store_attachments(&mut tx, id, attachments).await?;
        self.commit(tx).await?;
        Ok(TryResult::Done(Replayable::fresh(message)))
    }
}

fn deleted() -> Error {
    Error::new(
        Reason::MessageNotFound,
        "the provider delivered this message before and it was deleted; do not deliver it again",
    )
}
