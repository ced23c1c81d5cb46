//! Delivery metrics: queue depth and age, results of attempts, feed and janitor.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use parking_lot::Mutex;
use parlance_app::delivery::{AttemptResult, DeliveryObserver, QueueStatus};
use parlance_app::{App, JanitorPart};
use parlance_domain::Channel;

use super::metrics::Metrics;

/// Histogram buckets in seconds: from an immediate hand-over to a stuck delivery.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0,
];

/// Interval between two counts of the queues.
const INTERVAL: Duration = Duration::from_secs(5);

/// Instruments of deliveries.
#[derive(Debug)]
pub(crate) struct DeliveryMetrics {
    attempts: Counter<u64>,
    waited: Histogram<f64>,
}

impl DeliveryMetrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            attempts: meter
                .u64_counter("parlance_delivery_attempts")
                .with_description("hand-overs to providers that ended, by result")
                .build(),
            waited: meter
                .f64_histogram("parlance_delivery_accept_to_hand_over")
                .with_unit("s")
                .with_description("time from when a message was due until its provider was called")
                .with_boundaries(BUCKETS.into())
                .build(),
        }
    }
}

impl DeliveryObserver for DeliveryMetrics {
    fn handed_over(&self, channel: Channel, waited: Duration) {
        let labels = [KeyValue::new("channel", channel.as_str())];
        self.waited.record(waited.as_secs_f64(), &labels);
    }

    fn attempted(&self, channel: Channel, result: AttemptResult) {
        let labels = [
            KeyValue::new("channel", channel.as_str()),
            KeyValue::new("result", result.as_str()),
        ];
        self.attempts.add(1, &labels);
    }
}

/// Registers the metrics of queues, feed and janitor. Queues are counted every [`INTERVAL`], the others at each scrape.
pub(crate) fn watch_queues(metrics: &Metrics, app: &Arc<App>) {
    let counted: Arc<Mutex<Vec<QueueStatus>>> = Arc::default();
    let shown = Arc::clone(&counted);
    metrics.gauge(
        "parlance_delivery_queue_depth",
        "deliveries that wait, by channel and status",
        move |observe| {
            for queue in shown.lock().iter() {
                observe(queue.depth, &labels(queue));
            }
        },
    );
    let shown = Arc::clone(&counted);
    metrics.gauge(
        "parlance_delivery_queue_age_seconds",
        "time since the oldest delivery was due, by channel and status",
        move |observe| {
            for queue in shown.lock().iter() {
                let seconds = i64::try_from(queue.age.as_secs()).unwrap_or(i64::MAX);
                observe(seconds, &labels(queue));
            }
        },
    );
    let feed = Arc::clone(app);
    metrics.gauge(
        "parlance_feed_watchers",
        "open WatchEvents streams",
        move |observe| {
            let watchers = i64::try_from(feed.feed_status().watchers).unwrap_or(i64::MAX);
            observe(watchers, &[]);
        },
    );
    let feed = Arc::clone(app);
    metrics.gauge(
        "parlance_feed_buffered_bytes",
        "bytes of events that wait in memory for watchers",
        move |observe| {
            let bytes = feed.feed_status().buffered_bytes;
            observe(i64::try_from(bytes).unwrap_or(i64::MAX), &[]);
        },
    );
    let feed = Arc::clone(app);
    metrics.seconds(
        "parlance_feed_lag",
        "age of the oldest committed event that watchers do not see yet",
        move || feed.feed_status().lag,
    );
    let janitor = Arc::clone(app);
    metrics.counter(
        "parlance_janitor_failures",
        "failed parts of the janitor, or failed items of them",
        move |observe| {
            for part in JanitorPart::ALL {
                let labels = [KeyValue::new("part", part.as_str())];
                observe(janitor.janitor_failures(part), &labels);
            }
        },
    );
    let app = Arc::clone(app);
    tokio::spawn(async move {
        loop {
            // Series are absent while queues cannot be counted: the last figures would look like current ones.
            let counting = tokio::time::timeout(INTERVAL, app.queue_status());
            let queues = counting.await.ok().and_then(Result::ok);
            *counted.lock() = queues.unwrap_or_default();
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

fn labels(queue: &QueueStatus) -> [KeyValue; 2] {
    [
        KeyValue::new("channel", queue.channel.as_str()),
        KeyValue::new("status", queue.status.clone()),
    ]
}
