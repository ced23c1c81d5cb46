//! Interface to the invalidation connection, for copies in this process.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::key::Key;
use crate::ledger::RemoteId;

/// Receiver of invalidations, called by the invalidation connection in the order in which they arrive.
pub trait InvalidationHandler: Send + Sync + 'static {
    /// The connection is live from now on; earlier copies must be dropped.
    fn live(&self);
    /// The key was fenced, released or leased.
    fn changed(&self, key: Key);
    /// All keys may have changed, or the connection is lost: no copy may be used until it is live again.
    fn lost(&self);
}

/// Invalidation connection.
#[async_trait]
pub trait Tracking: Send + Sync + 'static {
    /// Starts to receive invalidations.
    fn listen(&self, handler: std::sync::Arc<dyn InvalidationHandler>);

    /// Identity of the process that the connection is to, while it is live.
    fn identity(&self) -> Option<RemoteId>;

    /// Waits until every invalidation from before `since` has been received; `false` if that cannot be established in time.
    async fn barrier(&self, since: Instant) -> bool;
}
