//! Open calls, which the shutdown waits for.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Each call holds the lock for reading. The shutdown takes it for writing: that waits for the last call and rejects
/// new ones.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<RwLock<()>>);

impl Calls {
    /// Registers a call until the returned guard is dropped. `None` once the shutdown waits for the last call.
    pub(crate) fn enter(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.0).try_read_owned().ok()
    }

    /// Waits for the last call. New calls are rejected meanwhile.
    pub async fn ended(&self) {
        drop(self.0.write().await);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn ended_waits_for_the_last_call_and_rejects_new_ones() {
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
