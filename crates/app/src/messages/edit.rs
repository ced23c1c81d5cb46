//! Editing of a message: its metadata at any time, the rest only before it is handed over.

use parlance_domain::message::{ContentView, Edit, Limits, MessageEvent, ScheduleView};
use parlance_domain::{Channel, Json, Message, MessageId, Owner, Timestamp, Violation};
use parlance_storage::Guarded;

use super::compose::ensure_valid;
use super::delete::in_flight;
use super::get::message_not_found;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::check_etag;

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
        let MessageEdit {
            id: _,
            etag: _,
            metadata,
            body,
            send_at,
            expires_at,
        } = edit;
        let edit = Edit {
            metadata,
            body,
            send_at,
            expires_at,
        };
        let refused = edit.refused(&found);
        if !refused.is_empty() {
            return Err(not_editable(&found, &refused));
        }
        ensure_valid(violations(&found, &edit, self.limits(), tx.now()))?;
        let affects_delivery = found.channel != Channel::Chat
            && (edit.body.is_some() || edit.send_at.is_some() || edit.expires_at.is_some());
        let Some(transition) = found.decide(MessageEvent::Edit(edit), tx.now()) else {
            return Err(not_editable(&found, &refused));
        };
        if affects_delivery && let Some(changed) = transition.changed() {
            // A message that a worker has claimed is sent as it was. Before the transition is written: that fences cached
            // lists, for nothing if the edit is refused.
            let due = changed.send_at.unwrap_or(tx.now());
            if tx.reschedule_delivery(changed.id, due).await? == Guarded::Stale {
                return Err(in_flight(&found));
            }
        }
        let (message, fence) = match self.store_transition(&mut tx, transition).await? {
            (Some(message), fence) => (message, fence),
            (None, fence) => {
                self.commit_fenced(tx, fence).await?;
                return Ok(found);
            }
        };
        if affects_delivery && message.send_at.is_none() {
            tx.enter_conversation_queue(&message).await?;
        }
        self.commit_fenced(tx, fence).await?;
        Ok(message)
    }
}

/// Checks the values of an edit as they become together with those that stay. An expiry that stays is compared with a
/// new send time, but not with the current time: the message may have expired.
fn violations(found: &Message, edit: &Edit, limits: &Limits, now: Timestamp) -> Vec<Violation> {
    let mut violations = Vec::new();
    if let Some(body) = &edit.body {
        let view = ContentView {
            channel: Some(found.channel),
            // Attachments or HTML allow an empty text.
            received: !found.attachments.is_empty() || !found.html_body.is_empty(),
            body,
            ..ContentView::default()
        };
        violations.extend(view.check(limits));
    }
    let schedule = ScheduleView {
        channel: Some(found.channel),
        send_at: edit.send_at.unwrap_or(found.send_at),
        expires_at: edit.expires_at.unwrap_or(found.expires_at),
    };
    if schedule.expires_at != found.expires_at {
        violations.extend(schedule.check(Some(now)));
    } else if schedule.send_at != found.send_at && !schedule.check(None).is_empty() {
        let why = "must be before expires_at; use an earlier time, or change expires_at too";
        violations.push(Violation::new("send_at", why));
    }
    violations
        .into_iter()
        .map(|v| Violation::new(format!("message.{}", v.field), v.description))
        .collect()
}

fn not_editable(found: &Message, refused: &[&str]) -> Error {
    Error::new(
        Reason::NotEditable,
        "can be edited only while the message is SCHEDULED (body also in CHAT)",
    )
    .with("fields", refused.join(","))
    .with("status", found.progress.status)
}
