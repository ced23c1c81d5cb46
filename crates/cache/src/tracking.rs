//! Hearing what others write, for the tier in this process.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::key::Key;
use crate::ledger::RemoteId;

/// What the connection that hears of writes tells the tier in this process, in the order in which it hears it.
pub trait InvalidationHandler: Send + Sync + 'static {
    /// The connection hears from now on; what was there before is gone.
    fn live(&self);
    /// Somebody has fenced, released or leased it.
    fn changed(&self, key: Key);
    /// All of it may have changed, or the connection is lost: nothing may be used until it is live again.
    fn lost(&self);
}

/// The connection that hears of writes.
#[async_trait]
pub trait Tracking: Send + Sync + 'static {
    /// Begins to hear, for as long as the process lives.
    fn listen(&self, heard: std::sync::Arc<dyn InvalidationHandler>);

    /// Which process the connection is to, while it is live.
    fn identity(&self) -> Option<RemoteId>;

    /// Waits until everything that happened before `since` has been heard; `false` if that cannot be known in time.
    async fn barrier(&self, since: Instant) -> bool;
}
