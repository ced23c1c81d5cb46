//! A stream of events.

use parlance_proto::v1;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::SOON;

/// A watch that has begun.
#[derive(Debug)]
pub struct Watching(Streaming<v1::Event>);

impl Watching {
    pub(crate) fn new(events: Streaming<v1::Event>) -> Self {
        Self(events)
    }

    /// The next event; heartbeats are passed over.
    pub async fn next(&mut self) -> Result<v1::Event, Status> {
        // However many heartbeats come meanwhile.
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

    /// As many events.
    pub async fn take(&mut self, count: usize) -> Vec<v1::Event> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next().await.expect("an event"));
        }
        events
    }

    /// Events up to the one that this is true of, and that one.
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

    /// The error that ends it; what comes before is passed over.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}
