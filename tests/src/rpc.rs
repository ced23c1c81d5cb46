//! The unary calls, by the type of their request.

use parlance_proto::v1;
use parlance_proto::v1::cache_service_client::CacheServiceClient;
use parlance_proto::v1::conversation_service_client::ConversationServiceClient;
use parlance_proto::v1::delivery_service_client::DeliveryServiceClient;
use parlance_proto::v1::message_service_client::MessageServiceClient;
use parlance_proto::v1::sender_service_client::SenderServiceClient;
use parlance_proto::v1::simulator_service_client::SimulatorServiceClient;
use tonic::{Request, Response, Status};

use crate::Caller;

/// Request of a unary call.
pub trait Rpc: Clone + std::fmt::Debug + Send + Sized {
    /// Type of the response.
    type Reply: std::fmt::Debug + Send;

    /// Calls the method.
    fn call(
        request: Request<Self>,
        caller: &Caller,
    ) -> impl Future<Output = Result<Response<Self::Reply>, Status>> + Send;
}

/// Request of `PreviewMessage`, which has the type of a `SendMessage` request.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview(pub v1::SendMessageRequest);

impl Rpc for Preview {
    type Reply = v1::PreviewMessageResponse;

    async fn call(
        request: Request<Self>,
        caller: &Caller,
    ) -> Result<Response<Self::Reply>, Status> {
        let mut client =
            MessageServiceClient::with_interceptor(caller.channel(), caller.owner_header());
        client.preview_message(request.map(|Self(send)| send)).await
    }
}

macro_rules! rpcs {
    ($($client:ident { $($method:ident($request:ident) -> $reply:ty;)+ })+) => {$($(
        impl Rpc for v1::$request {
            type Reply = $reply;

            async fn call(request: Request<Self>, caller: &Caller) -> Result<Response<$reply>, Status> {
                let mut client = $client::with_interceptor(caller.channel(), caller.owner_header());
                client.$method(request).await
            }
        }
    )+)+};
}

rpcs! {
    MessageServiceClient {
        send_message(SendMessageRequest) -> v1::Message;
        receive_message(ReceiveMessageRequest) -> v1::Message;
        get_message(GetMessageRequest) -> v1::Message;
        batch_get_messages(BatchGetMessagesRequest) -> v1::BatchGetMessagesResponse;
        list_messages(ListMessagesRequest) -> v1::ListMessagesResponse;
        search_messages(SearchMessagesRequest) -> v1::SearchMessagesResponse;
        update_message(UpdateMessageRequest) -> v1::Message;
        update_message_status(UpdateMessageStatusRequest) -> v1::Message;
        delete_message(DeleteMessageRequest) -> ();
        cancel_message(CancelMessageRequest) -> v1::Message;
        list_message_events(ListMessageEventsRequest) -> v1::ListMessageEventsResponse;
    }
    ConversationServiceClient {
        create_conversation(CreateConversationRequest) -> v1::Conversation;
        get_conversation(GetConversationRequest) -> v1::Conversation;
        list_conversations(ListConversationsRequest) -> v1::ListConversationsResponse;
        update_conversation(UpdateConversationRequest) -> v1::Conversation;
        mark_as_read(MarkAsReadRequest) -> v1::Conversation;
        mark_as_unread(MarkAsUnreadRequest) -> v1::Conversation;
        delete_conversation(DeleteConversationRequest) -> ();
        get_stats(GetStatsRequest) -> v1::Stats;
    }
    SenderServiceClient {
        create_sender(CreateSenderRequest) -> v1::Sender;
        get_sender(GetSenderRequest) -> v1::Sender;
        list_senders(ListSendersRequest) -> v1::ListSendersResponse;
        update_sender(UpdateSenderRequest) -> v1::Sender;
        delete_sender(DeleteSenderRequest) -> ();
    }
    CacheServiceClient {
        get_cache_stats(GetCacheStatsRequest) -> v1::GetCacheStatsResponse;
        get_cache_info(GetCacheInfoRequest) -> v1::GetCacheInfoResponse;
        invalidate_cache(InvalidateCacheRequest) -> v1::InvalidateCacheResponse;
        clear_cache(ClearCacheRequest) -> v1::ClearCacheResponse;
        warm_cache(WarmCacheRequest) -> v1::WarmCacheResponse;
    }
    DeliveryServiceClient {
        hold_delivery(HoldDeliveryRequest) -> v1::HoldDeliveryResponse;
        release_hold(ReleaseHoldRequest) -> v1::ReleaseHoldResponse;
    }
    SimulatorServiceClient {
        reply_as(ReplyAsRequest) -> v1::Message;
        list_sent(ListSentRequest) -> v1::ListSentResponse;
        set_script(SetScriptRequest) -> v1::SetScriptResponse;
        advance_clock(AdvanceClockRequest) -> v1::AdvanceClockResponse;
        list_webhooks(ListWebhooksRequest) -> v1::ListWebhooksResponse;
        replay_webhook(ReplayWebhookRequest) -> v1::Webhook;
    }
}
