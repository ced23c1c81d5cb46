//! Delivery: the provider registry, in which the simulator serves every sender, and the dispatcher.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::App;
use parlance_app::delivery::ProviderRegistry;
use parlance_cache::Cache;
use parlance_providers::Reports;
use parlance_providers::simulator::{self, Simulator};
use parlance_transport::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::telemetry::delivery::{DeliveryMetrics, watch_queues};
use crate::telemetry::metrics::Metrics;

/// Pause before the read of the simulator's open messages is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The running dispatcher, with its provider.
pub(super) struct RunningDispatcher {
    /// The simulator, for `SimulatorService`.
    pub(super) simulator: Arc<Simulator>,
    /// Ends after [`App::go_down`], when no hand-over is under way any more.
    pub(super) done: JoinHandle<()>,
}

/// Starts the dispatcher, unless `DELIVERY_WORKERS` is 0.
pub(super) fn start(
    app: &Arc<App>,
    cache: &Arc<Cache>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> RunningDispatcher {
    let clock = Arc::clone(app);
    let simulator = Simulator::new(
        Arc::clone(app) as Arc<dyn Reports>,
        Arc::new(move || clock.now()),
    );
    let registry = ProviderRegistry::default()
        .with_texts(simulator::NAME, Arc::clone(&simulator) as _)
        .with_mails(simulator::NAME, Arc::clone(&simulator) as _);
    watch_queues(metrics, app);
    let done = if settings.delivery_workers > 0 {
        let observer = Arc::new(DeliveryMetrics::new(metrics.meter()));
        tokio::spawn(resume(Arc::clone(app), Arc::clone(&simulator)));
        let compared = until_compared(Arc::clone(cache), shutdown.clone());
        let dispatching = Arc::clone(app).run_dispatcher(registry, observer);
        tokio::spawn(async move {
            compared.await;
            dispatching.await;
        })
    } else {
        tokio::spawn(std::future::ready(()))
    };
    RunningDispatcher { simulator, done }
}

/// Waits until the cache has compared the database with its marker: the deliveries of a restored database must be put on hold
/// before the first claim.
async fn until_compared(cache: Arc<Cache>, shutdown: Shutdown) {
    tokio::select! {
        () = cache.wait_until_compared() => {}
        () = shutdown.leaving() => {}
    }
}

/// Passes the messages that the simulator had accepted and not delivered to it again: it keeps them in memory, so a restart loses
/// them.
async fn resume(app: Arc<App>, simulator: Arc<Simulator>) {
    loop {
        let resumed = app
            .for_each_open_message(simulator::NAME, |owner, message| {
                simulator.resume(owner, message.id, &message.to_address);
            })
            .await;
        match resumed {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot read the messages that the simulator had accepted; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
