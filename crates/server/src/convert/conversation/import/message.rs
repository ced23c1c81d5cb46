//! Imported messages.

use parlance_app::conversations::import::{OldAttachment, OldMessage};
use parlance_domain::message::{AttachmentView, Content, Fault, Limits, Progress, ReportStatus};
use parlance_domain::{Channel, Direction, MessageStatus, Role, Timestamp};
use parlance_proto::v1;

use crate::convert::fields::Violations;
use crate::convert::message::recipients;
use crate::convert::{enums, limits, metadata, time};

/// Reads a message. `conversation` is the channel of its conversation, if that is valid.
pub(super) fn read_message(
    violations: &mut Violations,
    conversation: Option<Channel>,
    message: v1::Message,
    limits: &Limits,
) -> Option<OldMessage> {
    let v1::Message {
        id: _,
        conversation_id: _,
        sequence: _,
        channel,
        direction,
        status,
        role,
        from_address: _,
        to_address: _,
        cc_addresses,
        subject,
        body,
        html_body,
        quoted_body,
        attachments,
        provider,
        provider_message_id,
        error,
        segments: _,
        tokens_used,
        latency_ms,
        metadata,
        send_at: _,
        expires_at: _,
        sent_at,
        delivered_at,
        read_at,
        created_at,
        updated_at: _,
        version: _,
        etag: _,
    } = message;
    let channel = message_channel(violations, conversation, channel, !attachments.is_empty());
    let mut content = Content {
        role: enums::role(violations, "role", role),
        cc_addresses,
        subject,
        body,
        html_body,
        quoted_body,
        tokens_used,
        latency_ms,
        // One that is invalid has a recorded violation.
        metadata: metadata::json(violations, "metadata", metadata).unwrap_or_default(),
    };
    let views: Vec<_> = attachments.iter().map(view).collect();
    let (role, direction) = role_and_direction(violations, channel, content.role, direction);
    // The content is final, so the rules for received messages apply.
    violations.extend(content.view(channel, true, &views).check(limits));
    content.role = role;
    let attachments = files(violations, attachments);
    let carried = provider_ids(violations, provider, provider_message_id);
    let status = final_status(violations, channel, direction, status);
    let created_at = time::timestamp(violations, "created_at", created_at);
    let error = error.and_then(|error| fault(violations, error, status, created_at));
    let progress = status.map(|status| Progress {
        status,
        attempt: 0,
        error,
        sent_at: time::timestamp(violations, "sent_at", sent_at),
        delivered_at: time::timestamp(violations, "delivered_at", delivered_at),
        read_at: time::timestamp(violations, "read_at", read_at),
    });
    content.cc_addresses = recipients(violations, channel, &content.cc_addresses);
    Some(OldMessage {
        channel: channel?,
        direction: direction?,
        content,
        attachments,
        carried,
        progress: progress?,
        created_at,
    })
}

/// Reads the channel of the message, which must belong to the channel of the conversation.
fn message_channel(
    violations: &mut Violations,
    conversation: Option<Channel>,
    number: i32,
    has_attachments: bool,
) -> Option<Channel> {
    let given = enums::channel(violations, "channel", number);
    let conversation = conversation?;
    if given.is_some_and(|given| given.of_conversation() != conversation) {
        violations.push(
            "channel",
            "differs from the channel of the conversation; leave it out",
        );
        return Some(conversation);
    }
    Some(given.unwrap_or(conversation).of_message(has_attachments))
}

/// Reads role and direction. In a chat the role determines the direction; on other channels `direction` is required.
fn role_and_direction(
    violations: &mut Violations,
    channel: Option<Channel>,
    role: Option<Role>,
    direction: i32,
) -> (Option<Role>, Option<Direction>) {
    const FIELD: &str = "direction";
    let given = enums::direction(violations, FIELD, direction);
    let Some(channel) = channel else {
        return (None, None);
    };
    if channel == Channel::Chat {
        let role = role.unwrap_or(Role::User);
        if given.is_some_and(|given| given != role.direction()) {
            violations.push(FIELD, "contradicts the role; leave it out");
        }
        return (Some(role), Some(role.direction()));
    }
    if direction == 0 {
        violations.push(FIELD, "required; use INBOUND or OUTBOUND");
    }
    (None, given)
}

fn view(attachment: &v1::Attachment) -> AttachmentView<'_> {
    AttachmentView {
        filename: &attachment.filename,
        content_type: &attachment.content_type,
        url: (!attachment.url.is_empty()).then_some(&attachment.url),
        size_bytes: 0,
    }
}

fn files(violations: &mut Violations, attachments: Vec<v1::Attachment>) -> Vec<OldAttachment> {
    let mut files = Vec::with_capacity(attachments.len());
    for (index, attachment) in attachments.into_iter().enumerate() {
        let v1::Attachment {
            id: _,
            filename,
            content_type,
            size_bytes,
            url,
        } = attachment;
        if url.is_empty() {
            let field = format!("attachments[{index}].url");
            violations.push(
                field,
                "required, since content cannot be imported; set the URL of the content",
            );
        }
        violations.not_negative(&format!("attachments[{index}].size_bytes"), size_bytes);
        files.push(OldAttachment {
            filename,
            content_type,
            size_bytes,
            url,
        });
    }
    files
}

fn provider_ids(
    violations: &mut Violations,
    provider: String,
    id: String,
) -> Option<(String, String)> {
    violations.text("provider", &provider, limits::PROVIDER);
    violations.text("provider_message_id", &id, limits::PROVIDER_MESSAGE_ID);
    if provider.is_empty() && !id.is_empty() {
        violations.push(
            "provider",
            "required together with provider_message_id; set it",
        );
    }
    (!provider.is_empty()).then_some((provider, id))
}

/// Reads the status, which must be final: an imported message is never sent.
fn final_status(
    violations: &mut Violations,
    channel: Option<Channel>,
    direction: Option<Direction>,
    number: i32,
) -> Option<MessageStatus> {
    const FIELD: &str = "status";
    let given = enums::message_status(violations, FIELD, number);
    let (is_chat, direction) = (channel? == Channel::Chat, direction?);
    let received = !is_chat && direction == Direction::Inbound;
    let status = given.unwrap_or(if received {
        MessageStatus::Received
    } else {
        MessageStatus::Delivered
    });
    let (is_final, why) = match status {
        MessageStatus::Scheduled
        | MessageStatus::Pending
        | MessageStatus::Sending
        | MessageStatus::Uncertain => (
            false,
            "not a final status, and an imported message is never sent; use the final status",
        ),
        MessageStatus::Received => (received, "only an inbound message can be RECEIVED"),
        MessageStatus::Delivered | MessageStatus::Read => {
            (!received, "an inbound message must be RECEIVED")
        }
        MessageStatus::Sent
        | MessageStatus::Undelivered
        | MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Canceled => (
            !received && !is_chat,
            "an inbound message must be RECEIVED, and a chat message DELIVERED or READ",
        ),
    };
    if !is_final {
        violations.push(FIELD, why);
    }
    is_final.then_some(status)
}

/// Reads the error of a message. An empty error counts as unset.
fn fault(
    violations: &mut Violations,
    error: v1::MessageError,
    status: Option<MessageStatus>,
    created_at: Option<Timestamp>,
) -> Option<Fault> {
    let v1::MessageError {
        code,
        message,
        provider_code,
    } = error;
    violations.text("error.code", &code, limits::ERROR_CODE);
    violations.text("error.message", &message, limits::ERROR_MESSAGE);
    violations.text("error.provider_code", &provider_code, limits::ERROR_CODE);
    let texts = [&code, &message, &provider_code];
    if texts.into_iter().all(String::is_empty) {
        return None;
    }
    // The report that set the error is not known. A later report of the same rank does not replace it.
    let from = status.and_then(ReportStatus::from_status);
    Some(Fault {
        code,
        message,
        provider_code,
        from: from.unwrap_or(ReportStatus::Failed),
        occurred_at: created_at.unwrap_or(Timestamp::from_micros(0)),
    })
}
