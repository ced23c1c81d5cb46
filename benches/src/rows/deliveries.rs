//! Deliveries: delay of a message, throughput of the dispatcher, and cost for senders.

mod backlog;
mod rate;
mod sends;
mod waits;

use crate::harness::Harness;
use crate::report::Section;

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    vec![
        waits::measure(harness),
        rate::measure(harness),
        backlog::measure(harness),
        sends::measure(harness),
    ]
}

fn section(name: &str, about: &str) -> Section {
    Section {
        name: format!("deliveries: {name}"),
        about: about.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    }
}

/// Replaces the results if only baselines are measured.
const SERVICE_ALONE: &str = "not measured: it concerns the service only";
