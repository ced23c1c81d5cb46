//! `ConversationService`: one file per RPC.

mod create_conversation;
mod delete_conversation;
mod get_conversation;
mod get_stats;
mod import_conversations;
mod list_conversations;
mod mark_as_read;
mod mark_as_unread;
mod update_conversation;

use std::sync::Arc;

use parlance_app::App;
use parlance_proto::v1;
use parlance_proto::v1::conversation_service_server::ConversationService;
use tonic::{Request, Response, Status, Streaming};

use crate::status;

/// Handlers of `ConversationService`.
pub(super) struct Conversations(pub(super) Arc<App>);

#[tonic::async_trait]
impl ConversationService for Conversations {
    async fn create_conversation(
        &self,
        request: Request<v1::CreateConversationRequest>,
    ) -> Result<Response<v1::Conversation>, Status> {
        create_conversation::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn get_conversation(
        &self,
        request: Request<v1::GetConversationRequest>,
    ) -> Result<Response<v1::Conversation>, Status> {
        get_conversation::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn list_conversations(
        &self,
        request: Request<v1::ListConversationsRequest>,
    ) -> Result<Response<v1::ListConversationsResponse>, Status> {
        list_conversations::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn update_conversation(
        &self,
        request: Request<v1::UpdateConversationRequest>,
    ) -> Result<Response<v1::Conversation>, Status> {
        update_conversation::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn mark_as_read(
        &self,
        request: Request<v1::MarkAsReadRequest>,
    ) -> Result<Response<v1::Conversation>, Status> {
        mark_as_read::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn mark_as_unread(
        &self,
        request: Request<v1::MarkAsUnreadRequest>,
    ) -> Result<Response<v1::Conversation>, Status> {
        mark_as_unread::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn get_stats(
        &self,
        request: Request<v1::GetStatsRequest>,
    ) -> Result<Response<v1::Stats>, Status> {
        get_stats::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn delete_conversation(
        &self,
        request: Request<v1::DeleteConversationRequest>,
    ) -> Result<Response<()>, Status> {
        delete_conversation::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn import_conversations(
        &self,
        request: Request<Streaming<v1::ImportConversationsRequest>>,
    ) -> Result<Response<v1::ImportConversationsResponse>, Status> {
        import_conversations::handle(&self.0, request).await
    }
}
