//! The calls that are open, for a stop to wait for.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// A call holds the lock for reading; whoever waits for the last one wants it for writing, and then no new call gets it.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<RwLock<()>>);

impl Calls {
    /// One more, until what this returns is dropped; `None` once somebody waits for the last one.
    pub(super) fn enter(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.0).try_read_owned().ok()
    }

    /// Comes when the last one is done; lets nobody in until then.
    pub async fn ended(&self) {
        drop(self.0.write().await);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_last_one_is_waited_for_and_nobody_comes_in_between() {
        let calls = Calls::default();
        let (first, second) = (calls.enter(), calls.enter());
        assert!(first.is_some() && second.is_some());
        let mut ended = Box::pin(calls.ended());
        assert!(ended.as_mut().now_or_never().is_none());
        assert!(calls.enter().is_none());
        drop((first, second));
        ended.await;
    }
}
