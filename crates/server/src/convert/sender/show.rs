//! Conversion of senders to the contract.

use parlance_app::{Page, etag};
use parlance_domain::Sender;
use parlance_proto::v1;

use crate::convert::enums;
use crate::convert::time::{duration_to_proto, timestamp_to_proto};

/// Converts a sender.
pub(crate) fn to_proto(sender: Sender) -> v1::Sender {
    let Sender {
        id,
        owner,
        channel,
        address,
        provider,
        credentials,
        status,
        segments_per_second,
        default_expiry,
        reply_domain,
        messaging_service,
        created_at,
        updated_at,
        version,
    } = sender;
    v1::Sender {
        id: id.to_string(),
        owner: owner.to_string(),
        channel: enums::channel_to_proto(channel),
        address,
        provider,
        credentials,
        status: enums::sender_status_to_proto(status),
        segments_per_second,
        default_expiry: default_expiry.map(duration_to_proto),
        reply_domain,
        messaging_service,
        created_at: Some(timestamp_to_proto(created_at)),
        updated_at: Some(timestamp_to_proto(updated_at)),
        etag: etag(version),
    }
}

/// Converts a page of senders.
pub(crate) fn list_to_proto(page: Page<Sender>) -> v1::ListSendersResponse {
    let Page {
        items,
        next_page_token,
        total_size: _, // not part of this reply
    } = page;
    v1::ListSendersResponse {
        senders: items.into_iter().map(to_proto).collect(),
        next_page_token,
    }
}
