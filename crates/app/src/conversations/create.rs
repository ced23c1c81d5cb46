//! Opening a conversation before its first message.

use parlance_domain::{
    Address, Channel, Conversation, ConversationId, ConversationStatus, Json, Owner,
};
use parlance_storage::{Touch, Tx};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::idempotency::{Replayable, RequestId, Taken, take};
use crate::messages::{ConversationTarget, conversation_not_found, external_id_taken};
use crate::write::{Attempt, until_done};

const RPC: &str = "CreateConversation";

/// What `create_conversation` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateConversation {
    /// Makes a retry safe.
    pub request_id: Option<RequestId>,
    /// `Sms`, `Email` or `Chat`.
    pub channel: Channel,
    /// Our address and theirs; none for chat.
    pub addresses: Option<(Address, Address)>,
    /// Whose it is to be.
    pub user: String,
    /// A title.
    pub title: String,
    /// Its first state.
    pub status: ConversationStatus,
    /// The owner's own name for it.
    pub external_id: Option<String>,
    /// The owner's own data.
    pub metadata: Json,
}

impl App {
    /// Opens a conversation.
    pub async fn create_conversation(
        &self,
        owner: &Owner,
        request: CreateConversation,
    ) -> Result<Replayable<Conversation>> {
        until_done(|| self.try_create(owner, &request)).await
    }

    async fn try_create(
        &self,
        owner: &Owner,
        request: &CreateConversation,
    ) -> Result<Attempt<Replayable<Conversation>>> {
        let mut tx = self.begin(owner).await?;
        let target = target(request);
        let mut conversation = self.opened(&tx, &target)?;
        if let Taken::Before(earlier) = take(
            &mut tx,
            RPC,
            request.request_id.as_ref(),
            conversation.id.uuid(),
        )
        .await?
        {
            let id = ConversationId::from_uuid(earlier);
            let found = tx
                .conversation(id)
                .await?
                .ok_or_else(|| conversation_not_found(id))?;
            // The first request may have been cut off before anybody was told.
            tx.touch(Touch::ConversationCreated(id, found.user.clone()));
            self.commit(tx).await?;
            return Ok(Attempt::Done(Replayable::replayed(found)));
        }
        refuse_taken(&mut tx, request).await?;
        if let Some((ours, _)) = &request.addresses {
            self.sender_of(&mut tx, request.channel, ours.as_str())
                .await?;
        }
        conversation.title.clone_from(&request.title);
        conversation.status = request.status;
        conversation.external_id.clone_from(&request.external_id);
        conversation.metadata = request.metadata.clone();
        if !tx.insert_conversation(&conversation).await? {
            // Taken just now: the next attempt says by whom.
            return Ok(Attempt::Overtaken);
        }
        self.commit(tx).await?;
        Ok(Attempt::Done(Replayable::fresh(conversation)))
    }
}

fn target(request: &CreateConversation) -> ConversationTarget {
    let user = request.user.clone();
    match &request.addresses {
        Some((ours, theirs)) => ConversationTarget::Pair {
            channel: request.channel,
            ours: ours.clone(),
            theirs: theirs.clone(),
            user,
        },
        None => ConversationTarget::Chat {
            external_id: None,
            user,
        },
    }
}

/// Says which conversation has the pair or the external id already.
async fn refuse_taken(tx: &mut Tx, request: &CreateConversation) -> Result<()> {
    if let Some((ours, theirs)) = &request.addresses
        && request.status != ConversationStatus::Closed
        && let Some(found) = tx
            .conversation_of_pair(request.channel, ours.as_str(), theirs.as_str())
            .await?
    {
        let taken = Error::new(
            Reason::ConversationExists,
            "these two addresses have a conversation that is not closed",
        );
        return Err(taken.with("conversation_id", found.id));
    }
    if let Some(external_id) = &request.external_id
        && let Some(found) = tx.conversation_by_external_id(external_id).await?
    {
        return Err(external_id_taken(&found));
    }
    Ok(())
}
