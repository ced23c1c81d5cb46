//! A message as it was elsewhere.

use parlance_app::conversations::import::{OldAttachment, OldMessage};
use parlance_domain::message::{
    AttachmentView, ContentView, Fault, Limits, Progress, ReportStatus,
};
use parlance_domain::{Channel, Direction, MessageStatus, Role, Timestamp};
use parlance_proto::v1;

use crate::convert::fields::Found;
use crate::convert::message::recipients;
use crate::convert::{enums, limits, metadata, time};

/// Reads a message of a conversation on this channel, if that is known.
pub(super) fn old(
    found: &mut Found,
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
    let channel = own_channel(found, conversation, channel, !attachments.is_empty());
    let role = enums::role(found, "role", role);
    let metadata = metadata::json(found, "metadata", metadata);
    let views: Vec<_> = attachments.iter().map(view).collect();
    let view = ContentView {
        channel,
        // Nobody can be asked to say more.
        received: true,
        role,
        cc_addresses: cc_addresses.len(),
        subject: &subject,
        body: &body,
        html_body: &html_body,
        attachments: &views,
        tokens_used,
        latency_ms,
        metadata: metadata.as_ref().map_or("", |json| json.as_str()),
    };
    let (role, direction) = speaker(found, channel, role, direction);
    found.extend(view.check(limits));
    let attachments = files(found, attachments);
    let carried = carried(found, provider, provider_message_id);
    let status = final_status(found, channel, direction, status);
    let created_at = time::timestamp(found, "created_at", created_at);
    let error = error.and_then(|error| fault(found, error, status, created_at));
    let progress = status.map(|status| Progress {
        status,
        attempt: 0,
        error,
        sent_at: time::timestamp(found, "sent_at", sent_at),
        delivered_at: time::timestamp(found, "delivered_at", delivered_at),
        read_at: time::timestamp(found, "read_at", read_at),
    });
    Some(OldMessage {
        cc_addresses: recipients(found, channel, &cc_addresses),
        channel: channel?,
        direction: direction?,
        role,
        subject,
        body,
        html_body,
        attachments,
        carried,
        progress: progress?,
        tokens_used,
        latency_ms,
        metadata: metadata?,
        created_at,
    })
}

/// One that a conversation of that channel holds.
fn own_channel(
    found: &mut Found,
    conversation: Option<Channel>,
    number: i32,
    has_attachments: bool,
) -> Option<Channel> {
    let given = enums::channel(found, "channel", number);
    let conversation = conversation?;
    if given.is_some_and(|given| given.of_conversation() != conversation) {
        found.push("channel", "not that of the conversation; leave it out");
        return Some(conversation);
    }
    let carries = conversation == Channel::Sms && has_attachments;
    Some(match given {
        Some(Channel::Sms) | None if carries => Channel::Mms,
        given => given.unwrap_or(conversation),
    })
}

/// In a chat the role says which way a message goes, elsewhere the message itself.
fn speaker(
    found: &mut Found,
    channel: Option<Channel>,
    role: Option<Role>,
    direction: i32,
) -> (Option<Role>, Option<Direction>) {
    const FIELD: &str = "direction";
    let given = enums::direction(found, FIELD, direction);
    let Some(channel) = channel else {
        return (None, None);
    };
    if channel == Channel::Chat {
        let role = role.unwrap_or(Role::User);
        if given.is_some_and(|given| given != role.direction()) {
            found.push(FIELD, "not that of the role; leave it out");
        }
        return (Some(role), Some(role.direction()));
    }
    if direction == 0 {
        found.push(FIELD, "required; give INBOUND or OUTBOUND");
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

fn files(found: &mut Found, attachments: Vec<v1::Attachment>) -> Vec<OldAttachment> {
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
            found.push(
                field,
                "required: content cannot be imported; give where it is",
            );
        }
        found.not_negative(&format!("attachments[{index}].size_bytes"), size_bytes);
        files.push(OldAttachment {
            filename,
            content_type,
            size_bytes,
            url,
        });
    }
    files
}

fn carried(found: &mut Found, provider: String, id: String) -> Option<(String, String)> {
    found.text("provider", &provider, limits::PROVIDER);
    found.text("provider_message_id", &id, limits::PROVIDER_MESSAGE_ID);
    if provider.is_empty() && !id.is_empty() {
        found.push("provider", "required with provider_message_id; give it");
    }
    (!provider.is_empty()).then_some((provider, id))
}

/// One in which nothing is left to do: an old message is never sent.
fn final_status(
    found: &mut Found,
    channel: Option<Channel>,
    direction: Option<Direction>,
    number: i32,
) -> Option<MessageStatus> {
    const FIELD: &str = "status";
    let given = enums::message_status(found, FIELD, number);
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
            "the message would still have to be sent; give what became of it",
        ),
        MessageStatus::Received => (received, "only what came to us is RECEIVED"),
        MessageStatus::Delivered | MessageStatus::Read => {
            (!received, "what came to us is RECEIVED")
        }
        MessageStatus::Sent
        | MessageStatus::Undelivered
        | MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Canceled => (
            !received && !is_chat,
            "what came to us is RECEIVED, and a chat message DELIVERED or READ",
        ),
    };
    if !is_final {
        found.push(FIELD, why);
    }
    is_final.then_some(status)
}

/// An error that says nothing is none.
fn fault(
    found: &mut Found,
    error: v1::MessageError,
    status: Option<MessageStatus>,
    created_at: Option<Timestamp>,
) -> Option<Fault> {
    let v1::MessageError {
        code,
        message,
        provider_code,
    } = error;
    found.text("error.code", &code, limits::ERROR_CODE);
    found.text("error.message", &message, limits::ERROR_MESSAGE);
    found.text("error.provider_code", &provider_code, limits::ERROR_CODE);
    let texts = [&code, &message, &provider_code];
    if texts.into_iter().all(String::is_empty) {
        return None;
    }
    // Which report said so is not known; a later one of the same standing does not change it.
    let from = status.and_then(ReportStatus::from_status);
    Some(Fault {
        code,
        message,
        provider_code,
        from: from.unwrap_or(ReportStatus::Failed),
        occurred_at: created_at.unwrap_or(Timestamp::from_micros(0)),
    })
}
