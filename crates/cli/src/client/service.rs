//! The service that is asked.

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

const CONNECT: Duration = Duration::from_secs(5);
/// What `service_config.json` says of the slowest method that is used here.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// A watch may be silent for 15 seconds; a peer that has gone without a word is noticed soon after.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);
/// Page and reply sizes are the service's to limit.
const LARGEST_REPLY: usize = 1 << 30;
const OWNER: &str = "x-parlance-owner";

/// One connection, which comes back by itself.
pub(super) struct Service {
    channel: Channel,
    owner: Option<MetadataValue<Ascii>>,
}

impl Service {
    pub(super) async fn connect(caller: &Caller) -> Result<Self, Failure> {
        let server = caller.server.0.clone();
        let endpoint = Endpoint::from_shared(server.clone())
            .map_err(|error| unreachable(server.clone(), &error))?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG);
        let channel = endpoint.connect().await;
        Ok(Self {
            channel: channel.map_err(|error| unreachable(server, &error))?,
            owner: caller.owner.clone(),
        })
    }

    pub(super) fn messages(&self) -> MessageServiceClient<Channel> {
        MessageServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_REPLY)
    }

    pub(super) fn conversations(&self) -> ConversationServiceClient<Channel> {
        ConversationServiceClient::new(self.channel.clone())
            .max_decoding_message_size(LARGEST_REPLY)
    }

    pub(super) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_REPLY)
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

    /// A request that is answered soon or never.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(CALL);
        request
    }

    /// A request that is answered for as long as we like.
    pub(super) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(owner) = &self.owner {
            request.metadata_mut().insert(OWNER, owner.clone());
        }
        request
    }
}

/// That nobody listens there is the one cause with an obvious cure.
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
            why: cause.to_string(),
        },
    }
}
