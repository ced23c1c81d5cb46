//! Metrics of webhooks.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use parlance_providers::WebhookOutcome;

/// Instruments of webhooks.
#[derive(Debug, Clone)]
pub(crate) struct WebhookMetrics {
    handled: Counter<u64>,
}

impl WebhookMetrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            handled: meter
                .u64_counter("parlance_webhooks")
                .with_description("requests to webhooks, by provider and outcome")
                .build(),
        }
    }

    /// Counts a request. The provider is one of the registry, so the labels are a closed set.
    pub(crate) fn handled(&self, provider: &'static str, outcome: WebhookOutcome) {
        let labels = [
            KeyValue::new("provider", provider),
            KeyValue::new("outcome", outcome.as_str()),
        ];
        self.handled.add(1, &labels);
    }
}
