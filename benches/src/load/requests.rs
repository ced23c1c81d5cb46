//! Requests of a stream of calls.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use parlance_proto::v1;
use prost::Message as _;

use super::call::LAST;
use super::{Args, Call, last};
use crate::find::Find;
use crate::message;

/// Messages per batch.
const BATCH: u64 = 20;

/// Requests of one stream of calls.
pub(super) struct Requests {
    call: Call,
    find: Find,
    messages: u64,
    users: u64,
    token: String,
    random: u64,
    /// Unique for every stream of every run.
    name: String,
    count: u64,
    send_at: prost_types::Timestamp,
}

impl Requests {
    pub(super) fn new(args: &Args, token: &str, stream: usize) -> Self {
        let now = since_1970();
        Self {
            call: args.call,
            find: args.find,
            messages: args.messages,
            users: args.users,
            token: token.to_owned(),
            // Odd, hence never zero, which is a fixed point of xorshift.
            random: (stream as u64 * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            name: format!("{:x}-{stream}", now.as_micros()),
            count: 0,
            send_at: (std::time::UNIX_EPOCH + now + Duration::from_hours(1)).into(),
        }
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Returns one call of the mix and a message: one hundredth of the conversations gets a fifth of all calls.
    fn of_mix(&mut self) -> (Call, u64) {
        let call = match self.random() % 100 {
            0..5 => Call::SendNow,
            5..37 => Call::UserList,
            37..69 => Call::UserStats,
            _ => Call::UserSearch,
        };
        let whole = 1_u64 << 16;
        let cubed = (self.random() % whole).pow(3);
        let share = cubed / whole.pow(2);
        (
            call,
            self.messages / whole * share + self.messages % whole * share / whole,
        )
    }

    pub(super) fn next(&mut self) -> (Call, Bytes) {
        let (call, n) = if self.call == Call::Mix {
            self.of_mix()
        } else {
            (self.call, self.random() % self.messages)
        };
        (call, self.about(call, n))
    }

    fn about(&mut self, call: Call, n: u64) -> Bytes {
        let number = n / message::PER_CONVERSATION;
        let user = || format!("user-{}", number % self.users);
        let conversation = || message::conversation_id(number).to_string();
        let id = |n: u64| message::message_id(n).to_string();
        let bytes = match call {
            Call::Get => v1::GetMessageRequest {
                id: id(n),
                ..v1::GetMessageRequest::default()
            }
            .encode_to_vec(),
            Call::Conversation => v1::GetConversationRequest {
                id: conversation(),
                ..v1::GetConversationRequest::default()
            }
            .encode_to_vec(),
            Call::Batch => {
                let ids = (0..BATCH).map(|_| self.random() % self.messages);
                let ids: BTreeSet<u64> = ids.collect();
                let ids = ids.into_iter().map(id).collect();
                v1::BatchGetMessagesRequest { ids }.encode_to_vec()
            }
            Call::Events => v1::ListMessageEventsRequest { id: id(n) }.encode_to_vec(),
            Call::List => v1::ListMessagesRequest {
                conversation_id: conversation(),
                ..v1::ListMessagesRequest::default()
            }
            .encode_to_vec(),
            Call::LastPage => {
                let behind = self.messages.cast_signed() - i64::from(LAST);
                last::messages(self.messages, behind, "").encode_to_vec()
            }
            Call::LastByToken => {
                let behind = self.messages.cast_signed() - 2 * i64::from(LAST);
                last::messages(self.messages, behind, &self.token).encode_to_vec()
            }
            Call::LastConversations => last::conversations(&self.token).encode_to_vec(),
            Call::Stats => v1::GetStatsRequest::default().encode_to_vec(),
            Call::Total => v1::ListConversationsRequest {
                page_size: 1,
                with_total: true,
                ..v1::ListConversationsRequest::default()
            }
            .encode_to_vec(),
            Call::Send | Call::SendNow => self.send(call, n).encode_to_vec(),
            Call::Report => report(id(n)).encode_to_vec(),
            Call::Mark => v1::MarkAsReadRequest {
                id: conversation(),
                up_to_sequence: i64::try_from(since_1970().as_micros()).unwrap_or(i64::MAX),
            }
            .encode_to_vec(),
            Call::Find | Call::Mix => self.find.request(n).encode_to_vec(),
            Call::UserList => v1::ListConversationsRequest {
                user: user(),
                ..v1::ListConversationsRequest::default()
            }
            .encode_to_vec(),
            Call::UserStats => v1::GetStatsRequest { user: user() }.encode_to_vec(),
            Call::UserSearch => v1::SearchMessagesRequest {
                user: user(),
                query: "warehouse".to_owned(),
                page_size: 10,
                ..v1::SearchMessagesRequest::default()
            }
            .encode_to_vec(),
        };
        bytes.into()
    }

    fn send(&mut self, call: Call, n: u64) -> v1::SendMessageRequest {
        self.count += 1;
        v1::SendMessageRequest {
            request_id: format!("{}-{}", self.name, self.count),
            conversation_id: message::conversation_id(n / message::PER_CONVERSATION).to_string(),
            body: message::body(n),
            send_at: (call == Call::Send).then_some(self.send_at),
            ..v1::SendMessageRequest::default()
        }
    }
}

/// Reports READ with times that decrease over the run: the earliest time wins, so each report changes its message.
fn report(id: String) -> v1::UpdateMessageStatusRequest {
    let twice = Duration::from_millis(message::EPOCH_MS) * 2;
    let time = twice.saturating_sub(since_1970());
    v1::UpdateMessageStatusRequest {
        id,
        status: v1::MessageStatus::Read.into(),
        occurred_at: Some((std::time::UNIX_EPOCH + time).into()),
        ..v1::UpdateMessageStatusRequest::default()
    }
}

fn since_1970() -> Duration {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default()
}
