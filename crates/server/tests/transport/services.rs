//! Handlers that do what their request's id says.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{Stream, StreamExt as _};
use parlance_proto::v1;
use parlance_proto::v1::event_service_server::EventService;
use parlance_proto::v1::sender_service_server::SenderService;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// What handlers and tests tell one another.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Handlers that wait.
    pub(crate) waiting: AtomicU32,
    /// Handlers that were dropped while they waited.
    pub(crate) dropped: AtomicU32,
    /// Lets one handler go on per permit.
    pub(crate) go: Semaphore,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            waiting: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            go: Semaphore::new(0),
        }
    }
}

struct Waiting<'a>(Option<&'a Stage>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(stage) = self.0 {
            stage.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Actor(pub(crate) Arc<Stage>);

impl Actor {
    async fn act(&self, id: &str) -> Result<(), Status> {
        match id {
            "panic" => panic!("a handler panics on purpose"),
            "internal" => Err(Status::internal("a handler's own words")),
            "unavailable" => Err(Status::unavailable("a transport's own words")),
            "wait" => {
                let mut waiting = Waiting(Some(&self.0));
                self.0.waiting.fetch_add(1, Ordering::SeqCst);
                self.0.go.acquire().await.unwrap().forget();
                waiting.0 = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl SenderService for Actor {
    async fn get_sender(
        &self,
        request: Request<v1::GetSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        let id = request.into_inner().id;
        self.act(&id).await?;
        let address = if id == "large" {
            "x".repeat(8 * 1024)
        } else {
            String::new()
        };
        Ok(Response::new(v1::Sender {
            id,
            address,
            ..Default::default()
        }))
    }

    async fn create_sender(
        &self,
        _: Request<v1::CreateSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_senders(
        &self,
        _: Request<v1::ListSendersRequest>,
    ) -> Result<Response<v1::ListSendersResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn update_sender(
        &self,
        _: Request<v1::UpdateSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_sender(
        &self,
        _: Request<v1::DeleteSenderRequest>,
    ) -> Result<Response<()>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl EventService for Actor {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    /// One event, and then silence.
    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let panics = request.into_inner().cursor == "panic";
        let first = Ok(v1::Event {
            cursor: "1".to_owned(),
            ..Default::default()
        });
        let rest = futures_util::stream::poll_fn(move |_| {
            assert!(!panics, "a stream panics on purpose");
            std::task::Poll::Pending
        });
        Ok(Response::new(Box::pin(
            futures_util::stream::iter([first]).chain(rest),
        )))
    }
}
