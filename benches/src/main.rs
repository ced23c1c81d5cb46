//! Cost of requests, as ratios to simpler baselines measured in the same minutes.
//!
//! - Absolute rates depend on the machine and on its other load. Every claim is therefore a ratio of two subjects that
//!   were measured alternately (A B A B): the median over the rounds.
//! - Server, load generator and database are separate processes. Next to every rate is the server's CPU time per
//!   request, which hardly depends on other load.
//! - A missed aim is reported and is not a failure: the exit code is 0 in any case.
//!
//! To add a row: write a module in `rows` that returns a [`report::Section`], and add its name to [`options::Row`].

mod bare;
mod bare_pg;
mod bare_redis;
mod child;
mod database;
mod deliver;
mod fill;
mod find;
mod harness;
mod import;
mod load;
mod message;
mod open;
mod options;
mod pgbench;
mod probe;
mod proc;
mod raw;
mod report;
mod retention;
mod rounds;
mod rows;
mod statements;

use clap::{Parser, Subcommand};

use crate::harness::Harness;
use crate::options::{Options, Row};
use crate::report::Report;

/// Measures the service against baselines.
#[derive(Debug, Parser)]
#[command(name = "parlance-benches", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

/// Subcommands that the program starts as child processes.
#[derive(Debug, Subcommand)]
enum Part {
    /// Generates load
    #[command(hide = true)]
    Load(load::Args),
    /// Starts calls at fixed times (open loop)
    #[command(hide = true)]
    Open(open::Args),
    /// Serves one fixed message
    #[command(hide = true)]
    Bare(bare::Args),
    /// Serves messages with one prepared SELECT each
    #[command(hide = true)]
    BarePg(bare_pg::Args),
    /// Serves messages with one GET each
    #[command(hide = true)]
    BareRedis(bare_redis::Args),
    /// Sends messages and measures the delay until their hand-over
    #[command(hide = true)]
    Wait(deliver::wait::Args),
    /// Imports conversations
    #[command(hide = true)]
    Import(import::Args),
    /// Deletes aged messages
    #[command(hide = true)]
    Retention(retention::Args),
    /// Delivers the due messages
    #[command(hide = true)]
    Deliver(deliver::throughput::Args),
}

/// The same allocator as the service's, so that it makes no difference.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `make bench BENCH="--quick"` passes its argument in the environment.
    let more = std::env::var("BENCH").unwrap_or_default();
    let more = more.split_whitespace().map(Into::into);
    let cli = Cli::parse_from(std::env::args_os().chain(more));
    match cli.part {
        Some(Part::Load(args)) => load::run(&args),
        Some(Part::Open(args)) => open::run(&args),
        Some(Part::Bare(args)) => bare::run(&args),
        Some(Part::BarePg(args)) => bare_pg::run(&args),
        Some(Part::BareRedis(args)) => bare_redis::run(&args),
        Some(Part::Wait(args)) => deliver::wait::run(&args),
        Some(Part::Import(args)) => import::run(&args),
        Some(Part::Retention(args)) => retention::run(&args),
        Some(Part::Deliver(args)) => deliver::throughput::run(&args),
        None => measure(cli.options),
    }
}

fn measure(options: Options) {
    let harness = Harness::new(options);
    let mut report = Report::new(&harness.options);
    for row in harness.options.rows() {
        let sections = match row {
            Row::Reads => rows::reads::measure(&harness),
            Row::Hits => rows::hits::measure(&harness),
            Row::Answers => rows::answers::measure(&harness),
            Row::Mix => rows::mix::measure(&harness),
            Row::Price => rows::price::measure(&harness),
            Row::Open => rows::open::measure(&harness),
            Row::Memory => rows::memory::measure(&harness),
            Row::Sends => rows::sends::measure(&harness),
            Row::Size => rows::size::measure(&harness),
            Row::Stats => rows::stats::measure(&harness),
            Row::Retention => rows::retention::measure(&harness),
            Row::Deliveries => rows::deliveries::measure(&harness),
            Row::Search => rows::search::measure(&harness),
            Row::Import => rows::import::measure(&harness),
            Row::Start => rows::start::measure(&harness),
        };
        for section in sections {
            println!("{section}");
            report.sections.push(section);
        }
    }
    println!("{}", report.summary());
    println!("written to {}", report.write().display());
}
