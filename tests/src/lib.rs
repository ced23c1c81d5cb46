//! Shared parts of the black-box tests: a running service on either database, a client with an owner of its own, and
//! short constructors of requests. All calls go over real sockets to the real binary.
//!
//! - Tests of one binary share two services, one per database, and run concurrently: every [`Caller`] has another
//!   owner, every [`make::phone`] another number.
//! - A test that disturbs its service starts one of its own with [`Service::start`].
//! - A sender made by [`Caller::pair`] is paused, so that its messages are not sent.

mod caller;
pub mod cluster;
mod dice;
pub mod make;
pub mod raw;
mod refusal;
mod rpc;
mod service;
mod stats;
mod watching;

pub use caller::Caller;
pub use dice::Dice;
pub use refusal::Refusal;
pub use rpc::{Preview, Rpc};
pub use service::{Kind, Service};
pub use watching::Watching;

/// Time-out of a wait for an event that must occur. It is longer than anything takes on a busy machine, because a
/// passing test never waits for its end.
pub const SOON: std::time::Duration = std::time::Duration::from_mins(2);

/// Runs a test body on SQLite and on Postgres, with a caller of its own at the shared service.
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($caller:ident: $type:ty) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn body($caller: $type) $body

            #[tokio::test]
            async fn sqlite() {
                body($crate::Caller::at_shared($crate::Kind::Sqlite).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                body($crate::Caller::at_shared($crate::Kind::Postgres).await).await;
            }
        }
    )*};
}
