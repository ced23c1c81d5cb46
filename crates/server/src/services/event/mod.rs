//! `EventService`: one file per RPC.

mod watch_events;

use std::sync::Arc;

use parlance_app::App;
use parlance_proto::v1;
use parlance_proto::v1::event_service_server::EventService;
use tonic::{Request, Response, Status};

use crate::status;

/// Handlers of `EventService`.
pub(super) struct Events(pub(super) Arc<App>);

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = watch_events::EventStream;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        watch_events::handle(&self.0, request)
            .await
            .map_err(status::of)
    }
}
