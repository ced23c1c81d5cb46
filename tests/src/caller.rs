//! Somebody who calls.

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

/// Adds the owner to every call.
#[derive(Debug, Clone)]
pub struct Who(MetadataValue<Ascii>);

impl Interceptor for Who {
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

/// An owner at a service.
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

    /// Its name.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its connection.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What names it in a call.
    pub fn who(&self) -> Who {
        Who(self.owner.parse().expect("an owner is ASCII"))
    }

    /// `http://127.0.0.1:port` of the service's HTTP port.
    pub fn http_url(&self) -> &str {
        &self.http_url
    }

    /// `127.0.0.1:port` of the service's gRPC port.
    pub fn grpc_address(&self) -> &str {
        self.grpc_url.trim_start_matches("http://")
    }

    /// Asks.
    pub async fn ask<R: Rpc>(&self, request: R) -> Result<R::Reply, Status> {
        self.ask_with(Request::new(request))
            .await
            .map(Response::into_inner)
    }

    /// Asks with metadata or a deadline, and gets those of the answer.
    pub async fn ask_with<R: Rpc>(
        &self,
        request: Request<R>,
    ) -> Result<Response<R::Reply>, Status> {
        R::call(request, self).await
    }

    /// Asks for what must work.
    pub async fn ok<R: Rpc>(&self, request: R) -> R::Reply {
        match self.ask(request.clone()).await {
            Ok(reply) => reply,
            Err(status) => panic!("{status:?}\nanswers {request:?}"),
        }
    }

    /// Asks amid many who ask at once. On a busy machine some wait for a connection to the database for longer than the service lets
    /// them: they are told so, nothing has been done, and they come again.
    pub async fn ask_in_a_crowd<R: Rpc>(&self, request: R) -> Result<Response<R::Reply>, Status> {
        eventually(SOON, async || {
            let answer = self.ask_with(Request::new(request.clone())).await;
            let refusal = answer.as_ref().err().map(Refusal::of);
            let came_late = refusal.is_some_and(|refusal| refusal.reason == "DATABASE_UNAVAILABLE");
            (!came_late).then_some(answer)
        })
        .await
    }

    /// Asks for what must work, amid many who ask at once.
    pub async fn ok_in_a_crowd<R: Rpc>(&self, request: R) -> R::Reply {
        match self.ask_in_a_crowd(request.clone()).await {
            Ok(response) => response.into_inner(),
            Err(status) => panic!("{status:?}\nanswers {request:?}"),
        }
    }

    /// Asks for what must be refused.
    pub async fn refused<R: Rpc>(&self, request: R) -> Refusal {
        match self.ask(request.clone()).await {
            Ok(reply) => panic!("{reply:?}\nanswers {request:?}"),
            Err(status) => Refusal::of(&status),
        }
    }

    /// A replay's reply, or a first one's, and whether it says that it is a replay.
    pub async fn made<R: Rpc>(&self, request: R) -> (R::Reply, bool) {
        let response = self.ask_with(Request::new(request)).await;
        made(response.expect("it is made"))
    }

    /// The same, amid many who ask at once.
    pub async fn made_in_a_crowd<R: Rpc>(&self, request: R) -> (R::Reply, bool) {
        made(self.ask_in_a_crowd(request).await.expect("it is made"))
    }

    /// Two new addresses. Ours is a paused sender: what is sent from it stays PENDING.
    pub async fn pair(&self) -> Pair {
        let pair = make::phones();
        self.pause(v1::Channel::Sms, &pair.ours).await;
        pair
    }

    /// The same for mail.
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

    /// A conversation by its id.
    pub async fn conversation(&self, id: &str) -> v1::Conversation {
        self.ok(make::get_conversation(id)).await
    }

    /// A message by its id.
    pub async fn message(&self, id: &str) -> v1::Message {
        self.ok(make::get_message(id)).await
    }

    /// All messages of a conversation, oldest first, over as many pages as it takes.
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

    /// The client of the calls that are streams.
    pub fn message_client(&self) -> MessageServiceClient<InterceptedService<Channel, Who>> {
        MessageServiceClient::with_interceptor(self.channel(), self.who())
    }

    /// Uploads these pieces, of which the first is the head.
    pub async fn upload(
        &self,
        pieces: Vec<v1::UploadAttachmentRequest>,
    ) -> Result<v1::UploadAttachmentResponse, Status> {
        let pieces = tokio_stream::iter(pieces);
        self.message_client()
            .upload_attachment(pieces)
            .await
            .map(Response::into_inner)
    }

    /// Brings old conversations.
    pub async fn import(
        &self,
        old: Vec<v1::ImportConversationsRequest>,
    ) -> Result<v1::ImportConversationsResponse, Status> {
        self.import_as_it_comes(tokio_stream::iter(old)).await
    }

    /// Brings old conversations while there are some.
    pub async fn import_as_it_comes(
        &self,
        old: impl Stream<Item = v1::ImportConversationsRequest> + Send + 'static,
    ) -> Result<v1::ImportConversationsResponse, Status> {
        let mut client = ConversationServiceClient::with_interceptor(self.channel(), self.who());
        client
            .import_conversations(old)
            .await
            .map(Response::into_inner)
    }

    /// Brings old conversations of which none may be refused: how many were made, how many messages added and passed over.
    pub async fn imported(&self, old: Vec<v1::ImportConversationsRequest>) -> (i64, i64, i64) {
        let reply = self.import(old).await.expect("they are imported");
        assert_eq!((reply.errors, reply.error_count), (vec![], 0));
        (
            reply.imported_conversations,
            reply.imported_messages,
            reply.skipped,
        )
    }

    /// A conversation by its external id.
    pub async fn named(&self, external_id: &str) -> v1::Conversation {
        self.ok(v1::GetConversationRequest {
            external_id: external_id.to_owned(),
            ..Default::default()
        })
        .await
    }

    /// Reads an attachment to its end.
    pub async fn download(&self, message_id: &str, attachment_id: &str) -> Result<Vec<u8>, Status> {
        let request = v1::GetAttachmentRequest {
            message_id: message_id.to_owned(),
            attachment_id: attachment_id.to_owned(),
        };
        let mut pieces = self
            .message_client()
            .get_attachment(request)
            .await?
            .into_inner();
        let mut content = Vec::new();
        while let Some(piece) = pieces.message().await? {
            content.extend_from_slice(&piece.data);
        }
        Ok(content)
    }

    /// Begins to watch.
    pub async fn watch(&self, request: v1::WatchEventsRequest) -> Result<Watching, Status> {
        let mut client = EventServiceClient::with_interceptor(self.channel(), self.who());
        client
            .watch_events(request)
            .await
            .map(|response| Watching::new(response.into_inner()))
    }

    /// Watches everything from a cursor on.
    pub async fn watch_from(&self, cursor: &str) -> Watching {
        let request = v1::WatchEventsRequest {
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        self.watch(request).await.expect("a watch begins")
    }
}
