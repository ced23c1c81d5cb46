//! Shared code of the tests: a database of either kind, entities, and the shortest way to write them.

pub(crate) mod db;
pub(crate) mod make;
pub(crate) mod write;

pub(crate) use db::{Db, Kind};
pub(crate) use make::{at, attachment, conversation, message, owner, sender};
pub(crate) use write::{append, committed, open, recording_sink};

/// How long a test waits for what must happen: longer than anything takes on a busy machine, since no passing test
/// waits that long.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_mins(2);

/// One test body, run on SQLite and on Postgres.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: Db) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn body($db: Db) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(Db::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                body(Db::postgres().await).await;
            }
        }
    )*};
}
