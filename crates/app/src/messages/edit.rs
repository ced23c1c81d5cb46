//! Editing of a message: its metadata at any time, the rest only before it is handed over.

use parlance_domain::message::{ContentView, ProgressEvent};
use parlance_domain::{
    Channel, EventType, Json, Message, MessageId, MessageStatus, Owner, Step, Timestamp, Violation,
};
use parlance_storage::Guarded;

use super::compose::segments;
use super::delete::in_flight;
use super::get::message_not_found;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::{check_etag, ensure_updated};

/// Request of `edit_message`: `None` leaves a field unchanged, `Some(None)` clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEdit {
    /// Id of the message.
    pub id: MessageId,
    /// Expected etag; unconditional without it.
    pub etag: Option<String>,
    /// Metadata of the owner.
    pub metadata: Option<Json>,
    /// The text.
    pub body: Option<String>,
    /// When to send it; cleared: at once.
    pub send_at: Option<Option<Timestamp>>,
    /// When the message expires.
    pub expires_at: Option<Option<Timestamp>>,
}

impl App {
    /// Edits a message.
    pub async fn edit_message(&self, owner: &Owner, edit: MessageEdit) -> Result<Message> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_message(edit.id)
            .await?
            .ok_or_else(|| message_not_found(edit.id))?;
        check_etag(edit.etag.as_deref(), found.edit_version)?;
        check_editable(&found, &edit)?;
        let affects_delivery = found.channel != Channel::Chat
            && (edit.body.is_some() || edit.send_at.is_some() || edit.expires_at.is_some());
        let mut message = self.edited(&found, edit, tx.now())?;
        if message == found {
            // A repeated edit: the first may have been interrupted before the cache was invalidated.
            tx.touch_message(&found).await?;
            self.commit(tx).await?;
            return Ok(found);
        }
        message.updated_at = tx.now();
        message.version += 1;
        message.edit_version += 1;
        let user = tx.user_of(message.conversation_id).await?;
        let fence = self.fence_of_change(&mut tx, &found, &user);
        let kind = if message.progress.status == found.progress.status {
            EventType::MessageUpdated
        } else {
            EventType::MessageStatusChanged
        };
        ensure_updated(tx.update_message(&found, &message, kind, &user).await?)?;
        if affects_delivery {
            // A message that a worker has claimed is sent as it was.
            let due = message.send_at.unwrap_or(tx.now());
            if tx.reschedule_delivery(message.id, due).await? == Guarded::Stale {
                return Err(in_flight(&found));
            }
            if message.send_at.is_none() {
                tx.enter_conversation_queue(&message).await?;
            }
        }
        self.commit_fenced(tx, fence).await?;
        Ok(message)
    }

    fn edited(&self, found: &Message, edit: MessageEdit, now: Timestamp) -> Result<Message> {
        let MessageEdit {
            id: _,
            etag: _,
            metadata,
            body,
            send_at,
            expires_at,
        } = edit;
        let mut message = found.clone();
        if let Some(metadata) = metadata {
            message.metadata = metadata;
        }
        if let Some(body) = body {
            self.check_body(found, &body)?;
            message.segments = segments(message.channel, &body);
            message.body = body;
        }
        if let Some(expires_at) = expires_at {
            message.expires_at = expires_at;
        }
        if let Some(send_at) = send_at {
            message.send_at = send_at.filter(|at| *at > now);
            if message.send_at.is_none()
                && let Step::Moved(progress) = message.progress.clone().apply(ProgressEvent::Due)
            {
                message.progress = progress;
            }
        }
        if message
            .expires_at
            .is_some_and(|expires| expires <= message.send_at.unwrap_or(now))
            && message.expires_at != found.expires_at
        {
            return Err(Error::invalid_field(
                "message.expires_at",
                "must be after send_at and after now",
            ));
        }
        Ok(message)
    }

    fn check_body(&self, found: &Message, body: &str) -> Result<()> {
        let view = ContentView {
            channel: Some(found.channel),
            // Attachments or HTML allow an empty text.
            received: !found.attachments.is_empty() || !found.html_body.is_empty(),
            body,
            ..ContentView::default()
        };
        let violations: Vec<Violation> = view
            .check(self.limits())
            .into_iter()
            .map(|v| Violation::new(format!("message.{}", v.field), v.description))
            .collect();
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(violations))
        }
    }
}

/// Checks which fields can be edited: the text of a sent message cannot, that of a chat message can.
fn check_editable(found: &Message, edit: &MessageEdit) -> Result<()> {
    let scheduled = found.progress.status == MessageStatus::Scheduled;
    let fields = [
        (
            "body",
            edit.body.is_some(),
            scheduled || found.channel == Channel::Chat,
        ),
        ("send_at", edit.send_at.is_some(), scheduled),
        ("expires_at", edit.expires_at.is_some(), scheduled),
    ];
    let refused: Vec<&str> = fields
        .into_iter()
        .filter(|(_, requested, allowed)| *requested && !*allowed)
        .map(|(name, ..)| name)
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Reason::NotEditable,
        "can be edited only while the message is SCHEDULED (body also in CHAT)",
    )
    .with("fields", refused.join(","))
    .with("status", found.progress.status))
}
