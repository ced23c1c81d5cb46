//! Content of a new message. The domain checks which content a channel allows.

use parlance_app::messages::NewMessage;
use parlance_domain::message::{Content, Limits, MAX_CC_ADDRESSES};
use parlance_domain::{Address, Channel, Direction};
use parlance_proto::v1;

use super::attachment;
use super::conversation_target::{TargetFields, conversation_target};
use crate::convert::fields::Violations;
use crate::convert::{enums, metadata};

/// Content fields of a request.
pub(super) struct ContentFields {
    pub(super) cc_addresses: Vec<String>,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) html_body: String,
    /// `ReceiveMessage` only.
    pub(super) quoted_body: String,
    pub(super) attachments: Vec<v1::NewAttachment>,
    pub(super) role: i32,
    pub(super) tokens_used: Option<i64>,
    pub(super) latency_ms: Option<i64>,
    pub(super) metadata: Option<prost_types::Struct>,
}

/// Splits a request of `SendMessage` or `ReceiveMessage` into its target, its content and the other fields, which the
/// caller lists. Destructures the request, so that a new field does not compile until it is handled.
macro_rules! split_request {
    ($request:expr, $type:ident { $($other:ident),+ $(,)? }) => {{
        let parlance_proto::v1::$type {
            request_id: _, // taken before
            conversation_id,
            channel,
            from_address,
            to_address,
            user,
            external_id,
            cc_addresses,
            subject,
            body,
            html_body,
            attachments,
            role,
            tokens_used,
            latency_ms,
            metadata,
            $($other),+
        } = $request;
        let target = $crate::convert::message::conversation_target::TargetFields {
            conversation_id,
            channel,
            from_address,
            to_address,
            user,
            external_id,
        };
        let content = $crate::convert::message::content::ContentFields {
            cc_addresses,
            subject,
            body,
            html_body,
            quoted_body: String::new(),
            attachments,
            role,
            tokens_used,
            latency_ms,
            metadata,
        };
        (target, content, ($($other),+))
    }};
}

pub(super) use split_request;

/// Reads target and content. Also returns the channel if it is known.
pub(super) fn message(
    violations: &mut Violations,
    limits: &Limits,
    direction: Direction,
    target_fields: TargetFields,
    fields: ContentFields,
) -> (Option<Channel>, Option<NewMessage>) {
    let (channel, target) = conversation_target(violations, target_fields, direction);
    let ContentFields {
        cc_addresses,
        subject,
        body,
        html_body,
        quoted_body,
        attachments,
        role,
        tokens_used,
        latency_ms,
        metadata,
    } = fields;
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
    let views: Vec<_> = attachments.iter().map(attachment::view).collect();
    let received = direction == Direction::Inbound;
    violations.extend(content.view(channel, received, &views).check(limits));
    content.cc_addresses = recipients(violations, channel, &content.cc_addresses);
    let attachments = attachment::attachments(violations, attachments);
    let message = target.map(|target| NewMessage {
        target,
        content,
        attachments,
    });
    (channel, message)
}

/// Reads further recipients into canonical form. If the channel has none, or if they are too many, the content rules have
/// recorded the violation.
pub(crate) fn recipients(
    violations: &mut Violations,
    channel: Option<Channel>,
    texts: &[String],
) -> Vec<String> {
    let has_recipients = channel.is_none_or(|channel| channel == Channel::Email);
    if !has_recipients || texts.len() > MAX_CC_ADDRESSES {
        return Vec::new();
    }
    let read = |(index, text): (usize, &String)| {
        let address = Address::recipient(Channel::Email, text);
        violations
            .ok_or_record(format!("cc_addresses[{index}]"), address)
            .map(String::from)
    };
    texts.iter().enumerate().filter_map(read).collect()
}
