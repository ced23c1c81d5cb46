//! gRPC services of the contract. A handler extracts the owner, converts the request, makes one call of the app and converts the
//! result.
//!
//! To add an RPC, add a file with its handler to the folder of its service, and its line to that folder's `mod.rs`. To add a
//! service, add a folder, its name to [`NAMES`] and its line to [`add_to`].

mod cache;
mod cached;
mod conversation;
mod delivery;
mod encoded;
mod event;
mod message;
mod owner;
mod reply;
mod reply_extensions;
mod sender;
mod simulator;
#[cfg(test)]
mod tests;
mod trailers;

use std::sync::Arc;

use parlance_app::App;
use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1::cache_service_server::CacheServiceServer;
use parlance_proto::v1::conversation_service_server::ConversationServiceServer;
use parlance_proto::v1::delivery_service_server::DeliveryServiceServer;
use parlance_proto::v1::event_service_server::EventServiceServer;
use parlance_proto::v1::message_service_server::MessageServiceServer;
use parlance_proto::v1::sender_service_server::SenderServiceServer;
use parlance_proto::v1::simulator_service_server::SimulatorServiceServer;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::NamedService;
use tonic::service::Routes;

use reply::MAX_REPLY_BYTES;
use reply_extensions::ReplyExtensions;

/// Full names of all services, for health and reflection.
pub const NAMES: [&str; 7] = [
    CacheServiceServer::<cache::Caches>::NAME,
    ConversationServiceServer::<conversation::Conversations>::NAME,
    DeliveryServiceServer::<delivery::Deliveries>::NAME,
    EventServiceServer::<event::Events>::NAME,
    MessageServiceServer::<message::Messages>::NAME,
    SenderServiceServer::<sender::Senders>::NAME,
    SimulatorServiceServer::<simulator::SimulatorHandlers>::NAME,
];

/// Adds all services to the routes.
pub fn add_to(
    routes: Routes,
    app: &Arc<App>,
    admin: &Arc<CacheAdmin>,
    max_request_bytes: usize,
) -> Routes {
    // The generated servers have no common trait with these methods.
    macro_rules! server {
        ($server:ident, $handlers:expr) => {
            $server::new($handlers)
                .accept_compressed(Gzip)
                .send_compressed(Gzip)
                .max_decoding_message_size(max_request_bytes)
                .max_encoding_message_size(MAX_REPLY_BYTES)
        };
    }
    let app = || Arc::clone(app);
    let conversations = server!(
        ConversationServiceServer,
        conversation::Conversations(app())
    );
    let deliveries = server!(DeliveryServiceServer, delivery::Deliveries(app()));
    let events = server!(EventServiceServer, event::Events(app()));
    let messages = server!(MessageServiceServer, message::Messages(app()));
    let senders = server!(SenderServiceServer, sender::Senders(app()));
    let simulator = server!(SimulatorServiceServer, simulator::SimulatorHandlers(app()));
    let caches = server!(CacheServiceServer, cache::Caches(Arc::clone(admin)));
    routes
        .add_service(ReplyExtensions::new(conversations))
        .add_service(deliveries)
        .add_service(events)
        .add_service(ReplyExtensions::new(messages))
        .add_service(senders)
        .add_service(simulator)
        .add_service(caches)
}
