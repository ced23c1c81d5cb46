//! Receiving: the same path for the API and for whatever a provider brings.

use parlance_domain::message::Progress;
use parlance_domain::{Channel, Message, Owner, Timestamp};

use super::NewMessage;
use super::compose::{self, Draft};
use super::send::move_on;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::idempotency::{Replayable, RequestId, Taken, take};
use crate::write::{Attempt, overtaken_by_conflict, until_done};

const RPC: &str = "ReceiveMessage";

/// What `receive_message` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveMessage {
    /// Makes a retry safe.
    pub request_id: Option<RequestId>,
    /// What it says and where it belongs.
    pub message: NewMessage,
    /// Who brought it.
    pub provider: String,
    /// Their id of it: the same message brought twice is one.
    pub provider_message_id: String,
    /// When it came; now without it.
    pub received_at: Option<Timestamp>,
}

impl App {
    /// Writes a message that has come; one that the provider has brought before is returned as it is. If that one was deleted, it
    /// is not there, as it is for a `request_id` whose message was deleted: it does not come back.
    pub async fn receive_message(
        &self,
        owner: &Owner,
        request: ReceiveMessage,
    ) -> Result<Replayable<Message>> {
        until_done(|| self.try_receive(owner, &request)).await
    }

    async fn try_receive(
        &self,
        owner: &Owner,
        request: &ReceiveMessage,
    ) -> Result<Attempt<Replayable<Message>>> {
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
        if let Taken::Before(earlier) = take(&mut tx, RPC, request_id.as_ref(), id.uuid()).await? {
            return self.replayed_message(tx, earlier).await;
        }
        let before = match &found {
            Some(found) => found.clone(),
            None => self.opened(&tx, &new.target)?,
        };
        let channel = compose::channel(&new.target, &before, !new.attachments.is_empty());
        compose::refuse(compose::wrong(new, channel, true, self.limits()))?;
        if channel != Channel::Chat {
            self.sender_of(&mut tx, channel, &before.participant_from)
                .await?;
        }
        // A clock ahead of ours must not put the conversation ahead of all others.
        let came_at = received_at.map_or(now, |at| at.min(now));
        let Some(conversation) = move_on(&mut tx, found.as_ref(), &before, true, came_at).await?
        else {
            return Ok(Attempt::Overtaken);
        };
        let attachments = self.prepare_attachments(&mut tx, new).await?;
        let draft = Draft {
            id,
            conversation: &conversation,
            new,
            attachments: &attachments,
            received: true,
            created_at: came_at,
            progress: Progress::received(),
        };
        let mut message = draft.message();
        message.provider = Some(provider.clone());
        message.provider_message_id = Some(provider_message_id.clone());
        // IncomingPart twice at once, into two conversations: the second finds the first at its next attempt.
        if overtaken_by_conflict(tx.insert_message(&message, &conversation).await)?.is_none() {
            return Ok(Attempt::Overtaken);
        }
        compose::store_attachments(&mut tx, id, attachments).await?;
        self.commit(tx).await?;
        Ok(Attempt::Done(Replayable::fresh(message)))
    }
}

fn deleted() -> Error {
    Error::new(
        Reason::MessageNotFound,
        "the provider brought this message before and it was deleted; do not deliver it again",
    )
}
