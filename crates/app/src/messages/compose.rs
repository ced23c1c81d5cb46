//! Composition of a message from a request and its conversation.

use parlance_domain::message::{AttachmentView, Content, Limits, Placement, Progress};
use parlance_domain::{
    Attachment, AttachmentId, Channel, Conversation, Direction, Message, MessageId, Role,
    Timestamp, Violation,
};
use parlance_storage::Tx;

use super::{AttachmentSource, ConversationTarget, NewMessage};
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::ensure_updated;

/// Chunk size of stored content.
pub(crate) const CHUNK: usize = 256 * 1024;

/// An attachment, and what is still to be stored for it.
pub(crate) struct Prepared {
    attachment: Attachment,
    store: Store,
}

enum Store {
    Nothing,
    Content(bytes::Bytes),
    Claim,
}

/// The parts of a message that do not depend on its direction.
pub(crate) struct Draft<'a> {
    pub(crate) id: MessageId,
    pub(crate) conversation: &'a Conversation,
    pub(crate) new: &'a NewMessage,
    pub(crate) attachments: &'a [Prepared],
    pub(crate) received: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) progress: Progress,
}

/// The channel of a message.
pub(crate) fn channel(
    target: &ConversationTarget,
    conversation: &Conversation,
    has_attachments: bool,
) -> Channel {
    let requested = match target {
        ConversationTarget::Pair { channel, .. } => *channel,
        ConversationTarget::Conversation(_) | ConversationTarget::Chat { .. } => {
            conversation.channel
        }
    };
    requested.of_message(has_attachments)
}

/// Checks the content of a request that names a conversation, now that the channel is known. Other requests have been
/// checked before.
pub(crate) fn violations(
    new: &NewMessage,
    channel: Channel,
    received: bool,
    limits: &Limits,
) -> Vec<Violation> {
    if !matches!(new.target, ConversationTarget::Conversation(_)) {
        return Vec::new();
    }
    content_violations(new, channel, received, limits)
}

/// Checks the content of a message.
pub(crate) fn content_violations(
    new: &NewMessage,
    channel: Channel,
    received: bool,
    limits: &Limits,
) -> Vec<Violation> {
    let views: Vec<AttachmentView<'_>> = new.attachments.iter().map(view).collect();
    new.content
        .view(Some(channel), received, &views)
        .check(limits)
}

/// Fails with all violations, if there are any.
pub(crate) fn ensure_valid(violations: Vec<Violation>) -> Result<()> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid(violations))
    }
}

fn view(new: &super::NewAttachment) -> AttachmentView<'_> {
    let (url, size_bytes) = match &new.source {
        AttachmentSource::Url(url) => (Some(url.as_str()), 0),
        AttachmentSource::Content(content) => (None, content.len() as u64),
        AttachmentSource::Upload(_) => (None, 0),
    };
    // An upload was checked when it was made.
    let content_type = if new.content_type.is_empty() {
        "application/octet-stream"
    } else {
        &new.content_type
    };
    AttachmentView {
        filename: &new.filename,
        content_type,
        url,
        size_bytes,
    }
}

impl App {
    /// Looks up uploads and assigns attachment ids.
    pub(crate) async fn prepare_attachments(
        &self,
        tx: &mut Tx,
        new: &NewMessage,
    ) -> Result<Vec<Prepared>> {
        let mut prepared = Vec::with_capacity(new.attachments.len());
        for (index, attachment) in new.attachments.iter().enumerate() {
            let (filename, content_type) =
                (attachment.filename.clone(), attachment.content_type.clone());
            let made = |id: AttachmentId, size_bytes: i64, url: Option<String>| Attachment {
                id,
                filename,
                content_type,
                size_bytes,
                url,
            };
            let id = self.attachment_id(tx.now());
            prepared.push(match &attachment.source {
                AttachmentSource::Url(url) => Prepared {
                    attachment: made(id, 0, Some(url.clone())),
                    store: Store::Nothing,
                },
                AttachmentSource::Content(content) => {
                    let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
                    Prepared {
                        attachment: made(id, size, None),
                        store: Store::Content(content.clone()),
                    }
                }
                AttachmentSource::Upload(upload) => {
                    let mut found = tx
                        .upload(*upload)
                        .await?
                        .ok_or_else(|| upload_not_found(index))?;
                    if !attachment.filename.is_empty() {
                        found.filename.clone_from(&attachment.filename);
                    }
                    if !attachment.content_type.is_empty() {
                        found.content_type.clone_from(&attachment.content_type);
                    }
                    Prepared {
                        attachment: found,
                        store: Store::Claim,
                    }
                }
            });
        }
        Ok(prepared)
    }
}

/// Stores the content of a message's attachments; the message must be stored before.
pub(crate) async fn store_attachments(
    tx: &mut Tx,
    message: MessageId,
    prepared: Vec<Prepared>,
) -> Result<()> {
    for (index, Prepared { attachment, store }) in prepared.into_iter().enumerate() {
        match store {
            Store::Nothing => {
                tx.insert_attachment(&attachment, message, Vec::new())
                    .await?;
            }
            Store::Content(content) => {
                let chunks = content.chunks(CHUNK).map(<[u8]>::to_vec).collect();
                tx.insert_attachment(&attachment, message, chunks).await?;
            }
            Store::Claim => ensure_updated(tx.claim_upload(attachment.id, message).await?)
                .map_err(|_| upload_not_found(index))?,
        }
    }
    Ok(())
}

fn upload_not_found(index: usize) -> Error {
    Error::new(
        Reason::UploadNotFound,
        "this upload does not exist any more; upload the file again",
    )
    .with("field", format!("attachments[{index}].upload_id"))
}

impl Draft<'_> {
    /// Builds the message; its sequence is the conversation's last one.
    pub(crate) fn message(self) -> Message {
        let Self {
            id,
            conversation,
            new,
            attachments,
            received,
            created_at,
            progress,
        } = self;
        let channel = channel(&new.target, conversation, !attachments.is_empty());
        let role = (channel == Channel::Chat).then(|| new.content.role.unwrap_or(Role::User));
        let direction = match (received, role) {
            (true, _) => Direction::Inbound,
            (false, Some(role)) => role.direction(),
            (false, None) => Direction::Outbound,
        };
        let placement = Placement {
            id,
            conversation,
            channel,
            direction,
            attachments: attachments.iter().map(|p| p.attachment.clone()).collect(),
            progress,
            counts_unread: received,
            created_at,
        };
        let content = Content {
            role,
            ..new.content.clone()
        };
        Message::new(placement, content)
    }
}
