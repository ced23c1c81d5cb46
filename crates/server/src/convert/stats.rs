//! Statistics.

use bytes::Bytes;
use parlance_app::Result;
use parlance_app::conversations::Stats;
use parlance_domain::{Channel, Direction, MessageStatus};
use parlance_proto::v1;
use prost::Message as _;

use crate::convert::fields::{Violations, non_empty};
use crate::convert::{enums, limits};

/// `GetStats`. Returns the user, or `None` for the whole owner.
pub(crate) fn get(request: v1::GetStatsRequest) -> Result<Option<String>> {
    let mut violations = Violations::new();
    let v1::GetStatsRequest { user } = request;
    violations.text("user", &user, limits::USER);
    violations.finish(|| Some(non_empty(user)))
}

/// Statistics, encoded as a reply.
pub(crate) fn encode(stats: &Stats) -> Bytes {
    to_proto(stats.clone()).encode_to_vec().into()
}

/// Converts statistics.
pub(crate) fn to_proto(stats: Stats) -> v1::Stats {
    let Stats {
        conversations,
        active_conversations,
        messages,
        unread,
        tokens_used,
        messages_by,
    } = stats;
    v1::Stats {
        conversation_count: conversations,
        active_conversation_count: active_conversations,
        message_count: messages,
        unread_count: unread,
        tokens_used,
        messages_by: messages_by.into_iter().map(count_to_proto).collect(),
    }
}

fn count_to_proto(
    ((channel, direction, status), count): ((Channel, Direction, MessageStatus), i64),
) -> v1::MessageCount {
    v1::MessageCount {
        channel: enums::channel_to_proto(channel),
        direction: enums::direction_to_proto(direction),
        status: enums::message_status_to_proto(status),
        count,
    }
}
