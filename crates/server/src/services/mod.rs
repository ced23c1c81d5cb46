//! The services of the contract. A handler is: who, from proto, one call of the app, to proto.
//!
//! To add an RPC: one file with its handler in the folder of its service, and its line in that folder's `mod.rs`. To add a
//! service: one folder, its name in [`NAMES`] and its line in [`add_to`].

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
use parlance_app::cache::CacheAdmin;
use parlance_proto::v1::cache_service_server::CacheServiceServer;
use parlance_proto::v1::conversation_service_server::ConversationServiceServer;
use parlance_proto::v1::delivery_service_server::DeliveryServiceServer;
use parlance_proto::v1::event_service_server::EventServiceServer;
use parlance_proto::v1::message_service_server::MessageServiceServer;
use parlance_proto::v1::sender_service_server::SenderServiceServer;
use parlance_proto::v1::simulator_service_server::SimulatorServiceServer;
use parlance_providers::simulator::Simulator;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::NamedService;
use tonic::service::Routes;

use beside::Beside;

/// The names of all services, as health and reflection know them.
pub const NAMES: [&str; 7] = [
    CacheServiceServer::<cache::Caches>::NAME,
    ConversationServiceServer::<conversation::Conversations>::NAME,
    DeliveryServiceServer::<delivery::Deliveries>::NAME,
    EventServiceServer::<event::Events>::NAME,
    MessageServiceServer::<message::Messages>::NAME,
    SenderServiceServer::<sender::Senders>::NAME,
    SimulatorServiceServer::<simulator::FarSide>::NAME,
];

/// The largest reply: what every gRPC client takes unless it was told otherwise.
const MAX_REPLY_BYTES: usize = 4 * 1_024 * 1_024;

/// Adds all services.
pub fn add_to(
    routes: Routes,
    app: &Arc<App>,
    simulator: &Arc<Simulator>,
    desk: &Arc<CacheAdmin>,
    max_request_bytes: usize,
) -> Routes {
    // The generated servers have no trait in common that says this.
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
    let far_side = simulator::FarSide {
        app: app(),
        simulator: Arc::clone(simulator),
    };
    let simulator = server!(SimulatorServiceServer, far_side);
    let caches = server!(CacheServiceServer, cache::Caches(Arc::clone(desk)));
    routes
        .add_service(Beside::new(conversations))
        .add_service(deliveries)
        .add_service(events)
        .add_service(Beside::new(messages))
        .add_service(senders)
        .add_service(simulator)
        .add_service(caches)
}
