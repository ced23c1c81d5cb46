//! What a new message says. What it may say on which channel is the domain's to check.

use parlance_app::messages::NewMessage;
use parlance_domain::message::{ContentView, Limits};
use parlance_domain::{Address, Channel, Role};
use parlance_proto::v1;

use super::Way;
use super::attachment;
use super::conversation_target::{PlaceFields, place};
use crate::convert::fields::Found;
use crate::convert::{enums, limits, metadata};

/// The fields of a request that say it.
pub(super) struct ContentFields {
    pub(super) cc_addresses: Vec<String>,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) html_body: String,
    pub(super) attachments: Vec<v1::NewAttachment>,
    pub(super) role: i32,
    pub(super) tokens_used: Option<i64>,
    pub(super) latency_ms: Option<i64>,
    pub(super) metadata: Option<prost_types::Struct>,
}

/// Reads place and content, and says the channel as far as it is known.
pub(super) fn message(
    found: &mut Found,
    limits: &Limits,
    way: Way,
    place_fields: PlaceFields,
    content: ContentFields,
) -> (Option<Channel>, Option<NewMessage>) {
    let (channel, place) = place(found, place_fields, way);
    let ContentFields {
        cc_addresses,
        subject,
        body,
        html_body,
        attachments,
        role,
        tokens_used,
        latency_ms,
        metadata,
    } = content;
    let role = enums::role(found, "role", role);
    let metadata = metadata::json(found, "metadata", metadata);
    let views: Vec<_> = attachments.iter().map(attachment::view).collect();
    let view = ContentView {
        channel,
        received: way == Way::In,
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
    found.extend(view.check(limits));
    let cc_addresses = recipients(found, channel, &cc_addresses);
    let attachments = attachment::attachments(found, attachments);
    let message = place.zip(metadata).map(|(place, metadata)| NewMessage {
        target: place,
        role: role.or((channel == Some(Channel::Chat)).then_some(Role::User)),
        cc_addresses,
        subject,
        body,
        html_body,
        attachments,
        tokens_used,
        latency_ms,
        metadata,
    });
    (channel, message)
}

/// Further recipients in canonical form. Where the channel has none, the domain has said so already.
pub(crate) fn recipients(
    found: &mut Found,
    channel: Option<Channel>,
    texts: &[String],
) -> Vec<String> {
    match channel {
        Some(Channel::Sms | Channel::Mms | Channel::Chat) => return Vec::new(),
        Some(Channel::Email) | None => {}
    }
    if texts.len() > limits::CC_ADDRESSES {
        let most = limits::CC_ADDRESSES;
        found.push(
            "cc_addresses",
            format!("at most {most} addresses; leave some out"),
        );
        return Vec::new();
    }
    let read = |(index, text): (usize, &String)| {
        let address = Address::recipient(Channel::Email, text);
        found
            .keep(format!("cc_addresses[{index}]"), address)
            .map(String::from)
    };
    texts.iter().enumerate().filter_map(read).collect()
}
