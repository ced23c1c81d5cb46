//! Page token of a last page, determined once before the calls.

use bytes::Bytes;
use parlance_proto::v1;
use tonic::client::Grpc;

use super::call::{LAST, decoded};
use super::{Args, Call, connect, unary};
use crate::message;

/// Conversations per page: few enough that a small database has several pages.
const PAGE: i32 = 20;

/// Returns the token for the call; empty for calls without a last page.
pub(super) async fn token(args: &Args) -> String {
    if args.call == Call::LastByToken {
        let all = args.messages.cast_signed();
        let one_before = all - 2 * i64::from(LAST);
        let page: v1::ListMessagesResponse =
            call(args, &messages(args.messages, one_before, "")).await;
        return page.next_page_token;
    }
    let mut token = String::new();
    if args.call == Call::LastConversations {
        loop {
            let page: v1::ListConversationsResponse = call(args, &conversations(&token)).await;
            if page.next_page_token.is_empty() {
                break;
            }
            token = page.next_page_token;
        }
    }
    token
}

/// Requests a page of the long conversation after a sequence.
pub(super) fn messages(all: u64, after_sequence: i64, token: &str) -> v1::ListMessagesRequest {
    v1::ListMessagesRequest {
        conversation_id: message::conversation_id(message::long_one(all)).to_string(),
        after_sequence,
        oldest_first: true,
        with_total: true,
        page_size: LAST.into(),
        page_token: token.to_owned(),
    }
}

pub(super) fn conversations(token: &str) -> v1::ListConversationsRequest {
    v1::ListConversationsRequest {
        page_size: PAGE,
        page_token: token.to_owned(),
        with_total: true,
        ..v1::ListConversationsRequest::default()
    }
}

async fn call<M: prost::Message + Default>(args: &Args, request: &impl prost::Message) -> M {
    let mut grpc = Grpc::new(connect(&args.url).await);
    let request = Bytes::from(request.encode_to_vec());
    let answer = unary(&mut grpc, request, args.call.path()).await;
    let page = answer.and_then(|bytes| decoded(&bytes));
    page.unwrap_or_else(|e| panic!("cannot read the page before the last: {e}"))
}
