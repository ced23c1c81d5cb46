//! Delivery: the dispatcher, and the providers that lost their state at the last restart.

use std::sync::Arc;

use parlance_app::App;
use parlance_cache::Cache;
use parlance_transport::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::telemetry::delivery::{DeliveryMetrics, watch_queues};
use crate::telemetry::metrics::Metrics;

/// Starts the dispatcher, unless `DELIVERY_WORKERS` is 0. The task ends after [`App::go_down`], when no hand-over is under
/// way any more.
pub(super) fn start(
    app: &Arc<App>,
    cache: &Arc<Cache>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> JoinHandle<()> {
    watch_queues(metrics, app);
    if settings.delivery_workers == 0 {
        return tokio::spawn(std::future::ready(()));
    }
    let observer = Arc::new(DeliveryMetrics::new(metrics.meter()));
    tokio::spawn(Arc::clone(app).resume_providers());
    let compared = until_compared(Arc::clone(cache), shutdown.clone());
    let dispatching = Arc::clone(app).run_dispatcher(observer);
    tokio::spawn(async move {
        compared.await;
        dispatching.await;
    })
}

/// Waits until the cache has compared the database with its marker: the deliveries of a restored database must be put on hold
/// before the first claim.
async fn until_compared(cache: Arc<Cache>, shutdown: Shutdown) {
    tokio::select! {
        () = cache.wait_until_compared() => {}
        () = shutdown.leaving() => {}
    }
}
