//! Options: what is measured, and for how long.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::load::Shape;

/// A group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Row {
    /// `GetMessage` against a bare server and a bare SELECT
    Reads,
    /// `GetMessage` as a hit of each tier
    Hits,
    /// Lists, statistics and searches as hits
    Answers,
    /// Typical requests of users, with and without a cache
    Mix,
    /// Cost of cache coherence for a write
    Price,
    /// 10,000 calls per second during a Redis fault
    Open,
    /// Memory per cached message
    Memory,
    /// `SendMessage` against pgbench
    Sends,
    /// Many messages against few
    Size,
    /// `GetStats`, totals and last pages, with many messages against few
    Stats,
    /// Retention, with many messages against few
    Retention,
    /// Delay from acceptance to hand-over, dispatcher throughput against pgbench, and cost for senders
    Deliveries,
    /// `SearchMessages` of every kind with a million messages
    Search,
    /// `ImportConversations`, new and repeated
    Import,
    /// Idle memory, and time to the first response
    Start,
}

/// The command line.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Options {
    /// Rows to measure, separated by commas (default: all)
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Duration of each measurement in seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Number of rounds
    #[arg(long)]
    rounds: Option<usize>,
    /// One second, two rounds, one connection shape and a tenth of the messages, as a smoke test
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure the baselines only, not the service
    #[arg(long)]
    pub(crate) baselines: bool,
    /// Program of the service (default: built with cargo)
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn rows(&self) -> Vec<Row> {
        if self.rows.is_empty() {
            Row::value_variants().to_vec()
        } else {
            self.rows.clone()
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds_or(5.0)
    }

    /// Returns the configured duration, or a default.
    pub(crate) fn seconds_or(&self, default: f64) -> f64 {
        self.seconds
            .unwrap_or(if self.quick { 1.0 } else { default })
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 3 }).max(1)
    }

    /// Long enough for connections, caches and prepared statements.
    pub(crate) fn warmup(&self) -> f64 {
        if self.quick { 0.5 } else { 1.0 }
    }

    pub(crate) fn shapes(&self) -> &'static [Shape] {
        const ALL: [Shape; 3] = [Shape::new(8, 32), Shape::new(1, 256), Shape::new(64, 4)];
        if self.quick { &ALL[..1] } else { &ALL }
    }

    /// Returns the two database sizes that are compared.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (10_000, if self.quick { 100_000 } else { 1_000_000 })
    }

    /// Returns the count, or a tenth of it with `--quick`.
    pub(crate) const fn jobs(&self, all: u64) -> u64 {
        if self.quick { all / 10 } else { all }
    }
}
