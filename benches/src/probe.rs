//! One call, to see how the service answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use parlance_proto::v1;
use parlance_proto::v1::cache_service_client::CacheServiceClient;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::message;
use crate::raw::Raw;

/// Calls under way at a time, where all messages are asked for.
const AT_ONCE: usize = 64;

/// Asks for one message over a connection of its own.
pub(crate) async fn get(url: &str, n: u64) -> Result<Response<Bytes>, Status> {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("the server's URL is one");
    let channel = endpoint.connect().await.expect("who says a port listens");
    get_over(channel, n).await
}

async fn get_over(channel: Channel, n: u64) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("a connection takes a call");
    let request = v1::GetMessageRequest {
        id: message::message_id(n).to_string(),
        ..v1::GetMessageRequest::default()
    };
    let path = PathAndQuery::from_static("/parlance.v1.MessageService/GetMessage");
    let request = Request::new(Bytes::from(request.encode_to_vec()));
    grpc.unary(request, path, Raw).await
}

/// Whether a message that was read before comes from the memory of the service.
pub(crate) async fn caches(url: &str) -> bool {
    answers_from(url, "memory").await
}

/// Whether a message that is read again and again comes from that tier in the end: a shared one opens when it has drained once,
/// and is copied from at the second or third read.
pub(crate) async fn answers_from(url: &str, tier: &str) -> bool {
    for _ in 0..50 {
        let answer = get(url, 0).await.expect("message 0 is there");
        let from = answer.metadata().get("x-parlance-cache");
        if from.is_some_and(|from| from.as_bytes() == tier.as_bytes()) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Hits and misses of each kind, of all tiers.
pub(crate) type Looked = BTreeMap<String, (i64, i64)>;

/// What is kept of users.
pub(crate) const OF_USERS: [&str; 3] = ["list", "stats", "search"];

/// Hits and misses of what is kept of users.
pub(crate) async fn looked_up(url: &str) -> Looked {
    let channel = crate::load::connect(url).await;
    let stats = CacheServiceClient::new(channel)
        .get_cache_stats(v1::GetCacheStatsRequest {})
        .await;
    let mut looked = Looked::new();
    for tier in stats.expect("the service counts").into_inner().tiers {
        if OF_USERS.contains(&&*tier.kind) {
            let (hits, misses) = looked.entry(tier.kind).or_default();
            *hits += tier.hits;
            *misses += tier.misses;
        }
    }
    looked
}

/// Asks for each message once.
pub(crate) async fn get_all(url: &str, messages: u64) {
    let channel = crate::load::connect(url).await;
    let ask = |n: u64| {
        let channel = channel.clone();
        async move {
            get_over(channel, n).await.expect("each message is there");
        }
    };
    futures_util::stream::iter(0..messages)
        .map(ask)
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}
