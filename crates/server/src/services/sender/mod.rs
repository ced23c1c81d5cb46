//! `SenderService`: one file per RPC.

mod create_sender;
mod delete_sender;
mod get_sender;
mod list_senders;
mod update_sender;

use std::sync::Arc;

use parlance_app::App;
use parlance_proto::v1;
use parlance_proto::v1::sender_service_server::SenderService;
use tonic::{Request, Response, Status};

use crate::status;

/// Handlers of `SenderService`.
pub(super) struct Senders(pub(super) Arc<App>);

#[tonic::async_trait]
impl SenderService for Senders {
    async fn create_sender(
        &self,
        request: Request<v1::CreateSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        create_sender::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn get_sender(
        &self,
        request: Request<v1::GetSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        get_sender::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn list_senders(
        &self,
        request: Request<v1::ListSendersRequest>,
    ) -> Result<Response<v1::ListSendersResponse>, Status> {
        list_senders::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn update_sender(
        &self,
        request: Request<v1::UpdateSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        update_sender::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn delete_sender(
        &self,
        request: Request<v1::DeleteSenderRequest>,
    ) -> Result<Response<()>, Status> {
        delete_sender::handle(&self.0, request)
            .await
            .map_err(status::of)
    }
}
