//! The delivery engine, from PENDING to acceptance by the provider: claim, hand over, write the outcome.
//!
//! Parts:
//! - A *delivery* is a narrow row, written in the transaction of its message.
//! - The *claimer*, one loop per instance, claims due deliveries in batches, each for the length of a lease. Several
//!   instances share the work: each skips rows that another one has locked.
//! - The *delivery workers*, one task per message in flight, call providers and nothing else.
//! - The *outcome writer* writes outcomes in batches.
//!
//! Guarantees, whichever part dies:
//! - A claim increments the attempt and is committed before the provider is called. A worker that comes after a crash
//!   knows that an attempt was started.
//! - An outcome is written only by the worker of that attempt. A worker that wakes up after its lease ended changes
//!   nothing.
//! - So no message is lost. A message may be handed over twice if a worker dies between the provider's acceptance and
//!   its own commit. Exceptions: providers that take our id as idempotency key, and `AT_MOST_ONCE`, which leaves such
//!   a message UNCERTAIN.
//! - Every attempt has one entry in the message events: a worker or report that ends a delivery also records the
//!   attempts that have none yet.

mod cancel;
mod claimer;
mod context;
mod conversation_queue;
mod hold;
mod observer;
mod outcome;
mod outcome_writer;
mod provider_change;
mod provider_events;
mod worker;

pub use crate::pace::Pace;
pub use crate::provider_registry::ProviderRegistry;
pub use cancel::CancelMessage;
pub use observer::{AttemptResult, DeliveryObserver, QueueStatus};
