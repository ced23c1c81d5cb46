//! `SimulatorService`: one file per RPC.

mod list_sent;
mod reply_as;

use std::sync::Arc;

use parlance_app::App;
use parlance_proto::v1;
use parlance_proto::v1::simulator_service_server::SimulatorService;
use tonic::{Request, Response, Status};

use crate::status;

/// Handlers of `SimulatorService`.
pub(super) struct SimulatorHandlers(pub(super) Arc<App>);

#[tonic::async_trait]
impl SimulatorService for SimulatorHandlers {
    async fn reply_as(
        &self,
        request: Request<v1::ReplyAsRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        reply_as::handle(&self.0, request).await.map_err(status::of)
    }

    async fn list_sent(
        &self,
        request: Request<v1::ListSentRequest>,
    ) -> Result<Response<v1::ListSentResponse>, Status> {
        list_sent::handle(&self.0, request).map_err(status::of)
    }
}
