//! Single calls that check how the service responds.

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

/// Concurrent calls when all messages are read.
const AT_ONCE: usize = 64;

/// Reads one message over a new connection.
pub(crate) async fn get(url: &str, n: u64) -> Result<Response<Bytes>, Status> {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("the server URL is valid");
    let channel = endpoint
        .connect()
        .await
        .expect("the service listens on the announced port");
    get_over(channel, n).await
}

async fn get_over(channel: Channel, n: u64) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("the connection is ready");
    let request = v1::GetMessageRequest {
        id: message::message_id(n).to_string(),
        ..v1::GetMessageRequest::default()
    };
    let path = PathAndQuery::from_static("/parlance.v1.MessageService/GetMessage");
    let request = Request::new(Bytes::from(request.encode_to_vec()));
    grpc.unary(request, path, Raw).await
}

/// Whether a message that was read before is served from the memory of the service.
pub(crate) async fn caches(url: &str) -> bool {
    serves_from(url, "memory").await
}

/// Whether a message that is read repeatedly is finally served from a tier. The gate of a shared tier opens after the
/// first reconciliation pass, and a value is copied to memory at the second or third read.
pub(crate) async fn serves_from(url: &str, tier: &str) -> bool {
    for _ in 0..50 {
        let answer = get(url, 0).await.expect("message 0 exists");
        let from = answer.metadata().get("x-parlance-cache");
        if from.is_some_and(|from| from.as_bytes() == tier.as_bytes()) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Hits and misses by kind, over all tiers.
pub(crate) type Lookups = BTreeMap<String, (i64, i64)>;

/// Kinds cached per user.
pub(crate) const OF_USERS: [&str; 3] = ["list", "stats", "search"];

/// Returns hits and misses of the kinds cached per user.
pub(crate) async fn lookups(url: &str) -> Lookups {
    let channel = crate::load::connect(url).await;
    let stats = CacheServiceClient::new(channel)
        .get_cache_stats(v1::GetCacheStatsRequest {})
        .await;
    let mut lookups = Lookups::new();
    for tier in stats
        .expect("the service returns cache statistics")
        .into_inner()
        .tiers
    {
        if OF_USERS.contains(&&*tier.kind) {
            let (hits, misses) = lookups.entry(tier.kind).or_default();
            *hits += tier.hits;
            *misses += tier.misses;
        }
    }
    lookups
}

/// Reads each message once.
pub(crate) async fn get_all(url: &str, messages: u64) {
    let channel = crate::load::connect(url).await;
    let read = |n: u64| {
        let channel = channel.clone();
        async move {
            get_over(channel, n).await.expect("each message exists");
        }
    };
    futures_util::stream::iter(0..messages)
        .map(read)
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}
