//! Creates a conversation before its first message.

use parlance_domain::{
    Address, Channel, Conversation, ConversationId, ConversationStatus, Json, Owner,
};
use parlance_storage::{Touch, Tx};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::idempotency::{KeyUse, Replayable, RequestId, take_key};
use crate::messages::{ConversationTarget, conversation_not_found, external_id_taken};
use crate::write::{TryResult, retry_on_conflict};

const RPC: &str = "CreateConversation";

/// Request of `create_conversation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateConversation {
    /// Key that makes a retry safe.
    pub request_id: Option<RequestId>,
    /// `Sms`, `Email` or `Chat`.
    pub channel: Channel,
    /// Our address and theirs; none for chat.
    pub addresses: Option<(Address, Address)>,
    /// The user that it belongs to.
    pub user: String,
    /// A title.
    pub title: String,
    /// The initial status.
    pub status: ConversationStatus,
    /// The owner's external id.
    pub external_id: Option<String>,
    /// Metadata of the owner.
    pub metadata: Json,
}

impl App {
    /// Creates a conversation.
    pub async fn create_conversation(
        &self,
        owner: &Owner,
        request: CreateConversation,
    ) -> Result<Replayable<Conversation>> {
        retry_on_conflict(|| self.try_create(owner, &request)).await
    }

    async fn try_create(
        &self,
        owner: &Owner,
        request: &CreateConversation,
    ) -> Result<TryResult<Replayable<Conversation>>> {
        let mut tx = self.begin(owner).await?;
        let target = target(request);
        let mut conversation = self.new_conversation(&tx, &target)?;
        if let KeyUse::Repeated(earlier) = take_key(
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
            // The first request may have been interrupted before the commit was notified: notifies it again.
            tx.touch(Touch::ConversationCreated(id, found.user.clone()));
            self.commit(tx).await?;
            return Ok(TryResult::Done(Replayable::replayed(found)));
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
            // Another transaction has just taken a unique value: the next attempt reports which conversation has it.
            return Ok(TryResult::Conflict);
        }
        self.commit(tx).await?;
        Ok(TryResult::Done(Replayable::fresh(conversation)))
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

/// Fails if another conversation has the pair of addresses or the external id.
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
