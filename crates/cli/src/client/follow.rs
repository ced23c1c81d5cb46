//! A watch that goes on where it was when its connection is lost.

use std::time::Duration;

use parlance_proto::v1::{Event, EventType, WatchEventsRequest};
use tonic::{Status, Streaming};

use super::refusal;
use super::service::{CALL, Service};
use crate::failure::Failure;
use crate::output::Output;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What comes next.
pub(super) enum Followed {
    Event(Box<Event>),
    /// The connection was lost and is there again. Nothing is missed if there was a cursor.
    Resumed,
}

pub(super) struct Follower<'a> {
    service: &'a Service,
    /// With the last cursor that was seen.
    request: WatchEventsRequest,
    stream: Option<Streaming<Event>>,
    pause: Duration,
}

impl<'a> Follower<'a> {
    /// What happens after this returns will be seen.
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

    /// Where to go on; empty as long as nothing came.
    pub(super) fn cursor(&self) -> &str {
        &self.request.cursor
    }

    /// The next event. Ends only with what would come again.
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
        if !refusal::may_pass(status) {
            return Err(status.clone().into());
        }
        if let Some(cursor) = refusal::cursor(status) {
            self.request.cursor = cursor;
        }
        self.stream = None;
        let why = refusal::brief(status);
        output.warning(&format!("the connection is lost ({why}); trying again"));
        Ok(())
    }

    async fn resume(&mut self, output: &mut Output) -> Result<(), Failure> {
        loop {
            // Also before the first attempt: a service that ends every watch at once is not asked in a circle.
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            match self.open().await {
                Ok(stream) => self.stream = Some(stream),
                Err(status) if refusal::may_pass(&status) => continue,
                Err(status) => return Err(status.into()),
            }
            match self.cursor() {
                "" => output.warning("connected again; what happened in between is not shown"),
                cursor => output.note(&format!("connected again, from {cursor}")),
            }
            return Ok(());
        }
    }

    async fn open(&self) -> Result<Streaming<Event>, Status> {
        let request = self.service.stream(self.request.clone());
        let mut client = self.service.events();
        match tokio::time::timeout(CALL, client.watch_events(request)).await {
            Ok(opened) => opened.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("the service does not answer")),
        }
    }
}
