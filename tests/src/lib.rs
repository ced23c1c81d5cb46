//! What the black-box tests share: a running service on either database, a caller with an owner of its own, short ways to
//! ask and to say what was asked. Everything goes over real sockets to the real binary.
//!
//! - Tests of one binary share two services, one per database, and run side by side: every [`Caller`] is another owner, every
//!   [`make::phone`] another number.
//! - A test that hurts its service starts one with [`Service::start`].
//! - A sender made by [`Caller::pair`] is paused, so that a message stays as its test left it.

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
pub use rpc::Rpc;
pub use service::{Kind, Service};
pub use watching::Watching;

/// How long a test waits for what must come: longer than anything takes on a busy machine, for nobody waits for it in vain.
pub const SOON: std::time::Duration = std::time::Duration::from_mins(2);

/// One test body, run on SQLite and on Postgres, by a caller of its own at the shared service.
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
