//! What is measured, and for how long.

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
    /// What users do all day, with a cache and without
    Mix,
    /// What coherence costs a write
    Price,
    /// 10,000 calls a second, and Redis goes
    Open,
    /// What a cached message takes
    Memory,
    /// `SendMessage` against pgbench
    Sends,
    /// Many messages against few
    Size,
    /// `GetStats`, totals and last pages, of many messages against few
    Stats,
    /// What is past its time goes, from many messages and from few
    Retention,
    /// From acceptance to hand-over, the dispatcher against pgbench, and what it costs a send
    Deliveries,
    /// `SearchMessages` of every kind among a million messages
    Search,
    /// `ImportConversations`, new and once more
    Import,
    /// Memory when idle, and the time to the first answer
    Start,
}

/// The command line.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Options {
    /// Which rows, separated by commas; all without this
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How long each measurement takes
    #[arg(long)]
    seconds: Option<f64>,
    /// How often each is repeated
    #[arg(long)]
    rounds: Option<usize>,
    /// One second, two rounds, one connection shape, a tenth of the messages: to see that it works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure what the service is compared with, and not the service
    #[arg(long)]
    pub(crate) baselines: bool,
    /// The service, instead of the one that cargo builds
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

    /// As long as is said; else so long.
    pub(crate) fn seconds_or(&self, else_so_long: f64) -> f64 {
        self.seconds
            .unwrap_or(if self.quick { 1.0 } else { else_so_long })
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 3 }).max(1)
    }

    /// Long enough for connections, caches and statements.
    pub(crate) fn warmup(&self) -> f64 {
        if self.quick { 0.5 } else { 1.0 }
    }

    pub(crate) fn shapes(&self) -> &'static [Shape] {
        const ALL: [Shape; 3] = [Shape::new(8, 32), Shape::new(1, 256), Shape::new(64, 4)];
        if self.quick { &ALL[..1] } else { &ALL }
    }

    /// The two sizes that are compared.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (10_000, if self.quick { 100_000 } else { 1_000_000 })
    }

    /// So many jobs, or a tenth.
    pub(crate) const fn jobs(&self, all: u64) -> u64 {
        if self.quick { all / 10 } else { all }
    }
}
