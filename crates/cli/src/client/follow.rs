//! Watch that reconnects after a lost connection and resumes at its cursor.

use std::time::Duration;

use parlance_proto::v1::{Event, EventType, WatchEventsRequest};
use tonic::{Status, Streaming};

use super::service::{CALL_TIMEOUT, Service};
use crate::failure::Failure;
use crate::output::Output;
use crate::refusal;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Result of [`Follower::next`].
pub(super) enum Followed {
    Event(Box<Event>),
    /// The watch was lost and has been resumed. Events are missing only if it had no cursor yet.
    Resumed,
}

pub(super) struct Follower<'a> {
    service: &'a Service,
    /// Request with the last cursor that was received.
    request: WatchEventsRequest,
    stream: Option<Streaming<Event>>,
    pause: Duration,
}

impl<'a> Follower<'a> {
    /// Starts a watch. It receives all events that follow the return of this function.
    pub(super) async fn begin(
        service: &'a Service,
        request: WatchEventsRequest,
    ) -> Result<Self, Failure> {
        let mut follower = Self {
            service,
            request,
            stream: None,
            pause: FIRST_PAUSE,
        };
        follower.stream = Some(follower.open().await?);
        Ok(follower)
    }

    /// Cursor at which to resume; empty until the first event.
    pub(super) fn cursor(&self) -> &str {
        &self.request.cursor
    }

    /// Returns the next event. Fails only with an error that would repeat.
    pub(super) async fn next(&mut self, output: &mut Output) -> Result<Followed, Failure> {
        loop {
            let Some(stream) = &mut self.stream else {
                self.resume(output).await?;
                return Ok(Followed::Resumed);
            };
            match stream.message().await {
                Ok(Some(event)) => {
                    self.request.cursor.clone_from(&event.cursor);
                    self.pause = FIRST_PAUSE;
                    if event.r#type != i32::from(EventType::Unspecified) {
                        return Ok(Followed::Event(Box::new(event)));
                    }
                }
                Ok(None) => {
                    self.lost(&Status::unavailable("the service ended the watch"), output)?;
                }
                Err(status) => self.lost(&status, output)?,
            }
        }
    }

    fn lost(&mut self, status: &Status, output: &mut Output) -> Result<(), Failure> {
        if !refusal::is_transient(status) {
            return Err(status.clone().into());
        }
        if let Some(cursor) = refusal::cursor(status) {
            self.request.cursor = cursor;
        }
        self.stream = None;
        let reason = refusal::brief(status);
        output.warning(&format!("the connection is lost ({reason}); reconnecting"));
        Ok(())
    }

    async fn resume(&mut self, output: &mut Output) -> Result<(), Failure> {
        loop {
            // Also before the first attempt, so that a service that ends every watch at once is not called in a busy
            // loop.
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(MAX_PAUSE);
            match self.open().await {
                Ok(stream) => self.stream = Some(stream),
                Err(status) if refusal::is_transient(&status) => continue,
                Err(status) => return Err(status.into()),
            }
            match self.cursor() {
                "" => output.warning("reconnected; events in between are not shown"),
                cursor => output.note(&format!("reconnected, continuing after cursor {cursor}")),
            }
            return Ok(());
        }
    }

    async fn open(&self) -> Result<Streaming<Event>, Status> {
        let request = self.service.stream(self.request.clone());
        let mut client = self.service.events();
        match tokio::time::timeout(CALL_TIMEOUT, client.watch_events(request)).await {
            Ok(opened) => opened.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("the service does not respond")),
        }
    }
}
