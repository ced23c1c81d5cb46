//! Edits a conversation.

use std::sync::Arc;

use parlance_domain::conversation::ConversationEvent;
use parlance_domain::{Conversation, ConversationId, ConversationStatus, Json, Owner, Step};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::{conversation_not_found, external_id_taken};
use crate::write::{TryResult, check_etag, retry_on_conflict};

/// Request of `edit_conversation`: `None` leaves a field unchanged, `Some(None)` clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationEdit {
    /// Id of the conversation.
    pub id: ConversationId,
    /// Expected etag; unconditional without it.
    pub etag: Option<String>,
    /// The user that it belongs to.
    pub user: Option<String>,
    /// A title.
    pub title: Option<String>,
    /// The status.
    pub status: Option<ConversationStatus>,
    /// Metadata of the owner.
    pub metadata: Option<Json>,
    /// The owner's external id.
    pub external_id: Option<Option<String>>,
}

impl App {
    /// Edits a conversation.
    pub async fn edit_conversation(
        self: &Arc<Self>,
        owner: &Owner,
        edit: ConversationEdit,
    ) -> Result<Conversation> {
        retry_on_conflict(|| self.try_edit(owner, &edit)).await
    }

    async fn try_edit(
        self: &Arc<Self>,
        owner: &Owner,
        edit: &ConversationEdit,
    ) -> Result<TryResult<Conversation>> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_conversation(edit.id)
            .await?
            .ok_or_else(|| conversation_not_found(edit.id))?;
        check_etag(edit.etag.as_deref(), found.edit_version)?;
        let mut conversation = edited(&found, edit)?;
        if conversation != found {
            conversation.edit_version += 1;
        }
        if let Some(name) = conversation
            .external_id
            .as_ref()
            .filter(|name| found.external_id.as_ref() != Some(*name))
            && let Some(other) = tx.conversation_by_external_id(name).await?
        {
            return Err(external_id_taken(&other));
        }
        let rewritten = self.rewrite_conversation(&mut tx, &found, conversation);
        let (conversation, fence) = rewritten.await?;
        self.commit_fenced(tx, fence).await?;
        self.index_in_background(&found, &conversation);
        Ok(TryResult::Done(conversation))
    }
}

fn edited(found: &Conversation, edit: &ConversationEdit) -> Result<Conversation> {
    let ConversationEdit {
        id: _,
        etag: _,
        user,
        title,
        status,
        metadata,
        external_id,
    } = edit;
    let mut conversation = found.clone();
    if let Some(user) = user {
        conversation.user.clone_from(user);
    }
    if let Some(title) = title {
        conversation.title.clone_from(title);
    }
    if let Some(metadata) = metadata {
        conversation.metadata = metadata.clone();
    }
    if let Some(external_id) = external_id {
        conversation.external_id.clone_from(external_id);
    }
    if let Some(status) = status {
        match found.status.apply(ConversationEvent::SetStatus(*status)) {
            Step::Moved(status) => conversation.status = status,
            Step::Ignored => {}
            Step::Illegal => {
                let illegal = Error::new(
                    Reason::IllegalStatus,
                    format!("a conversation that is {} keeps its status", found.status),
                );
                return Err(illegal
                    .with("status", found.status)
                    .with("conversation_id", found.id));
            }
        }
    }
    Ok(conversation)
}
