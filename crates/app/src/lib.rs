//! The use cases: sending, receiving, reading, reporting, watching. The only crate that sees storage, cache and
//! providers together.
//!
//! Invariants:
//! * Every use case takes the owner first and passes it to every statement.
//! * While a transaction is open, nothing but the database is awaited.
//! * A late or repeated report is not an error; an impossible request fails with a [`Reason`] that clients can act on.
//!
//! To add a use case: one file under its entity with its request, its result and one method on [`App`].

mod app;
mod attachment_link;
pub mod attachments;
pub mod cache;
pub mod cache_admin;
mod changes;
pub mod conversations;
pub mod delivery;
mod env;
mod error;
pub mod events;
mod feed;
mod idempotency;
mod janitor;
mod limit;
pub mod messages;
mod pace;
mod paging;
mod provider_registry;
mod query_results;
mod read;
mod retention;
pub mod senders;
mod settings;
pub mod simulator;
mod transition;
mod upkeep;
mod write;

pub use app::{App, etag};
pub use env::{Clock, Environment, Random, SystemClock, SystemRandom};
pub use error::{Error, Kind, Reason, Result};
pub use idempotency::{Replayable, RequestId};
pub use paging::{Page, PageRequest};
pub use read::{Answer, Read};
pub use settings::Settings;
pub use upkeep::JanitorPart;
