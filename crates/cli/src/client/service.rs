//! Connection to the service.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use parlance_proto::v1::cache_service_client::CacheServiceClient;
use parlance_proto::v1::conversation_service_client::ConversationServiceClient;
use parlance_proto::v1::delivery_service_client::DeliveryServiceClient;
use parlance_proto::v1::event_service_client::EventServiceClient;
use parlance_proto::v1::message_service_client::MessageServiceClient;
use parlance_proto::v1::simulator_service_client::SimulatorServiceClient;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::arguments::Caller;
use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time-out of the slowest method that is called here, as in `service_config.json`.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A watch sends a heartbeat every 15 seconds; soon after that a peer that has disappeared silently is detected.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The service limits the size of replies.
const MAX_REPLY_BYTES: usize = 1 << 30;
const OWNER: &str = "x-parlance-owner";

/// Connection to the service. It reconnects automatically.
pub(super) struct Service {
    channel: Channel,
    owner: Option<MetadataValue<Ascii>>,
}

impl Service {
    pub(super) async fn connect(caller: &Caller) -> Result<Self, Failure> {
        let server = caller.server.0.clone();
        let endpoint = Endpoint::from_shared(server.clone())
            .map_err(|error| unreachable(server.clone(), &error))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let channel = endpoint.connect().await;
        Ok(Self {
            channel: channel.map_err(|error| unreachable(server, &error))?,
            owner: caller.owner.clone(),
        })
    }

    pub(super) fn messages(&self) -> MessageServiceClient<Channel> {
        MessageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_REPLY_BYTES)
    }

    pub(super) fn conversations(&self) -> ConversationServiceClient<Channel> {
        ConversationServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_REPLY_BYTES)
    }

    pub(super) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_REPLY_BYTES)
    }

    pub(super) fn simulator(&self) -> SimulatorServiceClient<Channel> {
        SimulatorServiceClient::new(self.channel.clone())
    }

    pub(super) fn delivery(&self) -> DeliveryServiceClient<Channel> {
        DeliveryServiceClient::new(self.channel.clone())
    }

    pub(super) fn cache(&self) -> CacheServiceClient<Channel> {
        CacheServiceClient::new(self.channel.clone())
    }

    /// Request of a unary call, with a time-out.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(CALL_TIMEOUT);
        request
    }

    /// Request of a stream, without a time-out.
    pub(super) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(owner) = &self.owner {
            request.metadata_mut().insert(OWNER, owner.clone());
        }
        request
    }
}

/// Error of a failed connection. A refused connection has its own error, because its remedy is known.
fn unreachable(server: String, error: &(dyn StdError + 'static)) -> Failure {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let system = cause.downcast_ref::<std::io::Error>();
    match system.map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => Failure::NoService { server },
        Some(_) | None => Failure::Unreachable {
            server,
            reason: cause.to_string(),
        },
    }
}
