//! A stream of events.

use parlance_proto::v1;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::SOON;

/// A running watch.
#[derive(Debug)]
pub struct Watching(Streaming<v1::Event>);

impl Watching {
    pub(crate) fn new(events: Streaming<v1::Event>) -> Self {
        Self(events)
    }

    /// Returns the next event; heartbeats are skipped.
    pub async fn next(&mut self) -> Result<v1::Event, Status> {
        // The time-out covers all heartbeats together.
        let next = timeout(SOON, async {
            loop {
                match self.0.message().await? {
                    Some(event) if event.r#type() == v1::EventType::Unspecified => {}
                    Some(event) => return Ok(event),
                    None => panic!("the stream ended without a status"),
                }
            }
        });
        next.await.expect("an event, an error or the end")
    }

    /// Returns the next events.
    pub async fn take(&mut self, count: usize) -> Vec<v1::Event> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next().await.expect("an event"));
        }
        events
    }

    /// Returns the events up to and including the first that satisfies the predicate.
    pub async fn until(&mut self, last: impl Fn(&v1::Event) -> bool) -> Vec<v1::Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("an event");
            let found = last(&event);
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// Returns the error that ends the stream; events before it are skipped.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}
