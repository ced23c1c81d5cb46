//! Stub handlers, which the id of a request controls.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{Stream, StreamExt as _};
use parlance_proto::v1;
use parlance_proto::v1::event_service_server::EventService;
use parlance_proto::v1::sender_service_server::SenderService;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// Shared state by which tests observe and release handlers.
#[derive(Debug)]
pub(crate) struct HandlerControl {
    /// Number of handlers that have begun to wait.
    pub(crate) waiting: AtomicU32,
    /// Number of handlers that were dropped while they waited.
    pub(crate) dropped: AtomicU32,
    /// Releases one waiting handler per permit.
    pub(crate) release: Semaphore,
}

impl Default for HandlerControl {
    fn default() -> Self {
        Self {
            waiting: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            release: Semaphore::new(0),
        }
    }
}

/// Counts a handler that is dropped while it waits.
struct WaitGuard<'a>(Option<&'a HandlerControl>);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        if let Some(control) = self.0 {
            control.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct StubHandlers(pub(crate) Arc<HandlerControl>);

impl StubHandlers {
    async fn run(&self, id: &str) -> Result<(), Status> {
        match id {
            "panic" => panic!("a handler panics on purpose"),
            "internal" => Err(Status::internal("message of a handler")),
            "unavailable" => Err(Status::unavailable("message of a transport")),
            "wait" => {
                let mut waiting = WaitGuard(Some(&self.0));
                self.0.waiting.fetch_add(1, Ordering::SeqCst);
                self.0.release.acquire().await.unwrap().forget();
                waiting.0 = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl SenderService for StubHandlers {
    async fn get_sender(
        &self,
        request: Request<v1::GetSenderRequest>,
    ) -> Result<Response<v1::Sender>, Status> {
        let id = request.into_inner().id;
        self.run(&id).await?;
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
impl EventService for StubHandlers {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    /// Sends one event, and then nothing.
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
