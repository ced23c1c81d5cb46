//! A client with an owner of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use parlance_proto::v1;
use parlance_proto::v1::conversation_service_client::ConversationServiceClient;
use parlance_proto::v1::event_service_client::EventServiceClient;
use parlance_proto::v1::message_service_client::MessageServiceClient;
use parlance_testkit::eventually;
use tokio_stream::Stream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::make::{self, Pair};
use crate::{Kind, Refusal, Rpc, SOON, Service, Watching};

/// Interceptor that adds the owner to every call.
#[derive(Debug, Clone)]
pub struct OwnerHeader(MetadataValue<Ascii>);

impl Interceptor for OwnerHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("x-parlance-owner", self.0.clone());
        Ok(request)
    }
}

fn made<T>(response: Response<T>) -> (T, bool) {
    let mark = response.metadata().get("idempotent-replayed");
    let replayed = mark.is_some_and(|mark| mark == "true");
    assert_eq!(mark.is_some(), replayed);
    (response.into_inner(), replayed)
}

/// A client of a service that calls as one owner.
#[derive(Debug, Clone)]
pub struct Caller {
    channel: Channel,
    owner: String,
    http_url: String,
    grpc_url: String,
}

impl Caller {
    /// A new owner at the service that tests share.
    pub async fn at_shared(kind: Kind) -> Self {
        Self::at(Service::shared(kind).await)
    }

    /// A new owner at this service.
    pub fn at(service: &Service) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let owner = format!("owner-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self::as_owner(service, &owner)
    }

    /// This owner at this service.
    pub fn as_owner(service: &Service, owner: &str) -> Self {
        let endpoint = Endpoint::from_shared(service.grpc_url()).expect("a url");
        Self {
            channel: endpoint.connect_lazy(),
            owner: owner.to_owned(),
            http_url: service.http_url(),
            grpc_url: service.grpc_url(),
        }
    }

    /// Another owner at the same service.
    #[must_use]
    pub fn other(&self) -> Self {
        Self {
            owner: format!("{}-other", self.owner),
            ..self.clone()
        }
    }

    /// The same owner on a connection of its own.
    #[must_use]
    pub fn reconnected(&self, change: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let endpoint = Endpoint::from_shared(self.grpc_url.clone()).expect("a url");
        Self {
            channel: change(endpoint).connect_lazy(),
            ..self.clone()
        }
    }

    /// Name of the owner.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The connection.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Interceptor that adds the owner to a call.
    pub fn owner_header(&self) -> OwnerHeader {
        OwnerHeader(self.owner.parse().expect("an owner is ASCII"))
    }

    /// `http://127.0.0.1:port` of the service's HTTP port.
    pub fn http_url(&self) -> &str {
        &self.http_url
    }

    /// `127.0.0.1:port` of the service's gRPC port.
    pub fn grpc_address(&self) -> &str {
        self.grpc_url.trim_start_matches("http://")
    }

    /// Calls a method and returns its result.
    pub async fn call<R: Rpc>(&self, request: R) -> Result<R::Reply, Status> {
        self.call_with(Request::new(request))
            .await
            .map(Response::into_inner)
    }

    /// Calls with metadata or a deadline, and returns the response with its metadata.
    pub async fn call_with<R: Rpc>(
        &self,
        request: Request<R>,
    ) -> Result<Response<R::Reply>, Status> {
        R::call(request, self).await
    }

    /// Calls a method that must succeed.
    pub async fn ok<R: Rpc>(&self, request: R) -> R::Reply {
        match self.call(request.clone()).await {
            Ok(reply) => reply,
            Err(status) => panic!("{request:?}\nfailed with {status:?}"),
        }
    }

    /// Calls while many clients call at once, and retries after `DATABASE_UNAVAILABLE`. On a busy machine some calls
    /// wait for a database connection for longer than the service allows. They fail without having done anything.
    pub async fn call_retrying<R: Rpc>(&self, request: R) -> Result<Response<R::Reply>, Status> {
        eventually(SOON, async || {
            let answer = self.call_with(Request::new(request.clone())).await;
            let refusal = answer.as_ref().err().map(Refusal::of);
            let came_late = refusal.is_some_and(|refusal| refusal.reason == "DATABASE_UNAVAILABLE");
            (!came_late).then_some(answer)
        })
        .await
    }

    /// Calls a method that must succeed, as [`Self::call_retrying`] does.
    pub async fn ok_retrying<R: Rpc>(&self, request: R) -> R::Reply {
        match self.call_retrying(request.clone()).await {
            Ok(response) => response.into_inner(),
            Err(status) => panic!("{request:?}\nfailed with {status:?}"),
        }
    }

    /// Calls a method that must fail, and returns its error.
    pub async fn refused<R: Rpc>(&self, request: R) -> Refusal {
        match self.call(request.clone()).await {
            Ok(reply) => panic!("{request:?}\nsucceeded with {reply:?}"),
            Err(status) => Refusal::of(&status),
        }
    }

    /// Calls a method that must succeed; returns the reply and whether it is marked as a replay.
    pub async fn ok_or_replayed<R: Rpc>(&self, request: R) -> (R::Reply, bool) {
        let response = self.call_with(Request::new(request)).await;
        made(response.expect("it is made"))
    }

    /// The same, as [`Self::call_retrying`] does.
    pub async fn ok_or_replayed_retrying<R: Rpc>(&self, request: R) -> (R::Reply, bool) {
        made(self.call_retrying(request).await.expect("it is made"))
    }

    /// Creates two new addresses. `ours` is a paused sender: messages from it stay PENDING.
    pub async fn pair(&self) -> Pair {
        let pair = make::phones();
        self.pause(v1::Channel::Sms, &pair.ours).await;
        pair
    }

    /// The same with mail addresses.
    pub async fn mail_pair(&self) -> Pair {
        let pair = make::mail_addresses();
        self.pause(v1::Channel::Email, &pair.ours).await;
        pair
    }

    async fn pause(&self, channel: v1::Channel, address: &str) {
        let sender = v1::Sender {
            channel: channel.into(),
            address: address.to_owned(),
            provider: "simulator".to_owned(),
            status: v1::SenderStatus::Paused.into(),
            ..Default::default()
        };
        self.ok(v1::CreateSenderRequest {
            sender: Some(sender),
        })
        .await;
    }

    /// Returns a conversation by its id.
    pub async fn conversation(&self, id: &str) -> v1::Conversation {
        self.ok(make::get_conversation(id)).await
    }

    /// Returns a message by its id.
    pub async fn message(&self, id: &str) -> v1::Message {
        self.ok(make::get_message(id)).await
    }

    /// Returns all messages of a conversation, oldest first, over all pages.
    pub async fn all_messages(&self, conversation_id: &str) -> Vec<v1::Message> {
        let mut request = v1::ListMessagesRequest {
            conversation_id: conversation_id.to_owned(),
            page_size: 200,
            oldest_first: true,
            ..Default::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.ok(request.clone()).await;
            all.extend(page.messages);
            if page.next_page_token.is_empty() {
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Client of the streaming calls.
    pub fn message_client(&self) -> MessageServiceClient<InterceptedService<Channel, OwnerHeader>> {
        MessageServiceClient::with_interceptor(self.channel(), self.owner_header())
    }

    /// Uploads these chunks; the first has the file name and type.
    pub async fn upload(
        &self,
        chunks: Vec<v1::UploadAttachmentRequest>,
    ) -> Result<v1::UploadAttachmentResponse, Status> {
        let chunks = tokio_stream::iter(chunks);
        self.message_client()
            .upload_attachment(chunks)
            .await
            .map(Response::into_inner)
    }

    /// Imports conversations.
    pub async fn import(
        &self,
        conversations: Vec<v1::ImportConversationsRequest>,
    ) -> Result<v1::ImportConversationsResponse, Status> {
        self.import_stream(tokio_stream::iter(conversations)).await
    }

    /// Imports conversations from a stream.
    pub async fn import_stream(
        &self,
        conversations: impl Stream<Item = v1::ImportConversationsRequest> + Send + 'static,
    ) -> Result<v1::ImportConversationsResponse, Status> {
        let mut client =
            ConversationServiceClient::with_interceptor(self.channel(), self.owner_header());
        client
            .import_conversations(conversations)
            .await
            .map(Response::into_inner)
    }

    /// Imports conversations without errors; returns how many conversations and messages were imported, and how many
    /// messages skipped.
    pub async fn imported(
        &self,
        conversations: Vec<v1::ImportConversationsRequest>,
    ) -> (i64, i64, i64) {
        let reply = self.import(conversations).await.expect("they are imported");
        assert_eq!((reply.errors, reply.error_count), (vec![], 0));
        (
            reply.imported_conversations,
            reply.imported_messages,
            reply.skipped,
        )
    }

    /// Returns a conversation by its external id.
    pub async fn by_external_id(&self, external_id: &str) -> v1::Conversation {
        self.ok(v1::GetConversationRequest {
            external_id: external_id.to_owned(),
            ..Default::default()
        })
        .await
    }

    /// Downloads a whole attachment.
    pub async fn download(&self, message_id: &str, attachment_id: &str) -> Result<Vec<u8>, Status> {
        let request = v1::GetAttachmentRequest {
            message_id: message_id.to_owned(),
            attachment_id: attachment_id.to_owned(),
        };
        let mut chunks = self
            .message_client()
            .get_attachment(request)
            .await?
            .into_inner();
        let mut content = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            content.extend_from_slice(&chunk.data);
        }
        Ok(content)
    }

    /// Starts a watch.
    pub async fn watch(&self, request: v1::WatchEventsRequest) -> Result<Watching, Status> {
        let mut client = EventServiceClient::with_interceptor(self.channel(), self.owner_header());
        client
            .watch_events(request)
            .await
            .map(|response| Watching::new(response.into_inner()))
    }

    /// Watches all events from a cursor on.
    pub async fn watch_from(&self, cursor: &str) -> Watching {
        let request = v1::WatchEventsRequest {
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        self.watch(request).await.expect("a watch begins")
    }
}
