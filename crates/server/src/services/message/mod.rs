//! `MessageService`: one file per RPC.

mod batch_get_messages;
mod cancel_message;
mod delete_message;
mod get_attachment;
mod get_message;
mod list_message_events;
mod list_messages;
mod preview_message;
mod receive_message;
mod search_messages;
mod send_message;
mod update_message;
mod update_message_status;
mod upload_attachment;

use std::sync::Arc;

use parlance_app::App;
use parlance_proto::v1;
use parlance_proto::v1::message_service_server::MessageService;
use tonic::{Request, Response, Status, Streaming};

use crate::status;

/// Handlers of `MessageService`.
pub(super) struct Messages(pub(super) Arc<App>);

#[tonic::async_trait]
impl MessageService for Messages {
    async fn send_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        send_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn receive_message(
        &self,
        request: Request<v1::ReceiveMessageRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        receive_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn get_message(
        &self,
        request: Request<v1::GetMessageRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        get_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn batch_get_messages(
        &self,
        request: Request<v1::BatchGetMessagesRequest>,
    ) -> Result<Response<v1::BatchGetMessagesResponse>, Status> {
        batch_get_messages::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn list_messages(
        &self,
        request: Request<v1::ListMessagesRequest>,
    ) -> Result<Response<v1::ListMessagesResponse>, Status> {
        list_messages::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn search_messages(
        &self,
        request: Request<v1::SearchMessagesRequest>,
    ) -> Result<Response<v1::SearchMessagesResponse>, Status> {
        search_messages::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn cancel_message(
        &self,
        request: Request<v1::CancelMessageRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        cancel_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn list_message_events(
        &self,
        request: Request<v1::ListMessageEventsRequest>,
    ) -> Result<Response<v1::ListMessageEventsResponse>, Status> {
        list_message_events::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn preview_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Result<Response<v1::PreviewMessageResponse>, Status> {
        preview_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn update_message(
        &self,
        request: Request<v1::UpdateMessageRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        update_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn update_message_status(
        &self,
        request: Request<v1::UpdateMessageStatusRequest>,
    ) -> Result<Response<v1::Message>, Status> {
        update_message_status::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn delete_message(
        &self,
        request: Request<v1::DeleteMessageRequest>,
    ) -> Result<Response<()>, Status> {
        delete_message::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    type GetAttachmentStream = get_attachment::ChunkStream;

    async fn get_attachment(
        &self,
        request: Request<v1::GetAttachmentRequest>,
    ) -> Result<Response<Self::GetAttachmentStream>, Status> {
        get_attachment::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn upload_attachment(
        &self,
        request: Request<Streaming<v1::UploadAttachmentRequest>>,
    ) -> Result<Response<v1::UploadAttachmentResponse>, Status> {
        upload_attachment::handle(&self.0, request).await
    }
}
