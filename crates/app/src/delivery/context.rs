//! State that the parts of the dispatcher share.

use std::sync::Arc;

use tokio::sync::watch;

use super::observer::DeliveryObserver;
use crate::App;

/// Shared state of the claimer, the delivery workers and the outcome writer.
pub(super) struct DispatcherContext {
    pub(super) app: Arc<App>,
    pub(super) observer: Arc<dyn DeliveryObserver>,
    /// The outcome writer holds outcomes that it cannot write. Their deliveries look abandoned, so nothing may be
    /// claimed until they are written.
    pub(super) outcomes_blocked: watch::Sender<bool>,
}
