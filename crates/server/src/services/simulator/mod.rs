//! `SimulatorService`: one file per RPC.

mod advance_clock;
mod list_sent;
mod list_webhooks;
mod replay_webhook;
mod reply_as;
mod set_script;

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

    async fn set_script(
        &self,
        request: Request<v1::SetScriptRequest>,
    ) -> Result<Response<v1::SetScriptResponse>, Status> {
        set_script::handle(&self.0, request).map_err(status::of)
    }

    async fn advance_clock(
        &self,
        request: Request<v1::AdvanceClockRequest>,
    ) -> Result<Response<v1::AdvanceClockResponse>, Status> {
        advance_clock::handle(&self.0, request).map_err(status::of)
    }

    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        list_webhooks::handle(&self.0, request).map_err(status::of)
    }

    async fn replay_webhook(
        &self,
        request: Request<v1::ReplayWebhookRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        replay_webhook::handle(&self.0, request).map_err(status::of)
    }
}
