//! Who carries messages: the simulator, behind every sender.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::App;
use parlance_app::delivery::ProviderRegistry;
use parlance_cache::Cache;
use parlance_providers::Reports;
use parlance_providers::simulator::{self, Simulator};
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::shutdown::Shutdown;
use crate::telemetry::delivery::{DeliveryMetrics, watch_queues};
use crate::telemetry::metrics::Metrics;

/// How long a start waits before it asks again which messages the simulator had.
const RETRY: Duration = Duration::from_secs(1);

/// What delivers.
pub(super) struct Deliveries {
    /// The far side, for its own service.
    pub(super) simulator: Arc<Simulator>,
    /// Ends after the app was told to go down, when nothing is under way any more.
    pub(super) done: JoinHandle<()>,
}

/// Starts what delivers.
pub(super) fn start(
    app: &Arc<App>,
    cache: &Arc<Cache>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> Deliveries {
    let clock = Arc::clone(app);
    let simulator = Simulator::new(
        Arc::clone(app) as Arc<dyn Reports>,
        Arc::new(move || clock.now()),
    );
    let carriers = ProviderRegistry::default()
        .with_texts(simulator::NAME, Arc::clone(&simulator) as _)
        .with_mails(simulator::NAME, Arc::clone(&simulator) as _);
    watch_queues(metrics, app);
    let done = if settings.delivery_workers > 0 {
        let observer = Arc::new(DeliveryMetrics::new(metrics.meter()));
        tokio::spawn(resume(Arc::clone(app), Arc::clone(&simulator)));
        let compared = until_compared(Arc::clone(cache), shutdown.clone());
        let dispatching = Arc::clone(app).run_dispatcher(carriers, observer);
        tokio::spawn(async move {
            compared.await;
            dispatching.await;
        })
    } else {
        tokio::spawn(std::future::ready(()))
    };
    Deliveries { simulator, done }
}

/// Waits until the cache has compared the database with its marker: what waits in a restored database must be held before
/// anything is claimed.
async fn until_compared(cache: Arc<Cache>, shutdown: Shutdown) {
    tokio::select! {
        () = cache.wait_until_compared() => {}
        () = shutdown.leaving() => {}
    }
}

/// The simulator forgets at a restart; what it had taken and not delivered is told to it again.
async fn resume(app: Arc<App>, simulator: Arc<Simulator>) {
    loop {
        let told = app
            .for_each_open_message(simulator::NAME, |owner, message| {
                simulator.resume(owner, message.id, &message.to_address);
            })
            .await;
        match told {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, "messages under way could not be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
