//! Deliveries: how long a message waits, how fast the dispatcher works, and what it costs those who send.

mod backlog;
mod rate;
mod sends;
mod waits;

use crate::harness::Lab;
use crate::report::Section;

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    vec![
        waits::measure(lab),
        rate::measure(lab),
        backlog::measure(lab),
        sends::measure(lab),
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

/// What is said instead of figures where only baselines are measured.
const SERVICE_ALONE: &str = "not measured: it is about the service alone";
