//! What a request costs, as ratios against something simpler that was measured in the same minutes.
//!
//! - Absolute rates depend on the machine and on who else uses it, so every claim is a ratio of two things that were
//!   measured in turn (A B A B), and its median over the rounds.
//! - Server, load generator and database are processes of their own. Beside every rate stands the server's CPU time per
//!   request, which hardly depends on what else runs.
//! - An aim that is missed is said, not failed: the exit code is 0 whatever was measured.
//!
//! To add a row: a module in `rows` that returns a [`report::Section`], and a name in [`options::Row`].

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

use crate::harness::Lab;
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

/// What the program starts itself as.
#[derive(Debug, Subcommand)]
enum Part {
    /// Generates load
    #[command(hide = true)]
    Load(load::Args),
    /// Begins calls when they are due
    #[command(hide = true)]
    Open(open::Args),
    /// Serves one fixed message
    #[command(hide = true)]
    Bare(bare::Args),
    /// Serves messages by one prepared SELECT
    #[command(hide = true)]
    BarePg(bare_pg::Args),
    /// Serves messages by one GET
    #[command(hide = true)]
    BareRedis(bare_redis::Args),
    /// Sends a few messages and says how long each waited for its provider
    #[command(hide = true)]
    Wait(deliver::wait::Args),
    /// Imports conversations
    #[command(hide = true)]
    Bring(import::Args),
    /// Drops what is past its time
    #[command(hide = true)]
    Forget(retention::Args),
    /// Delivers the jobs that are there
    #[command(hide = true)]
    Drain(deliver::throughput::Args),
}

/// The same as the service's, so that it makes no difference.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `make bench BENCH="--quick"` puts its argument into the environment.
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
        Some(Part::Bring(args)) => import::run(&args),
        Some(Part::Forget(args)) => retention::run(&args),
        Some(Part::Drain(args)) => deliver::throughput::run(&args),
        None => measure(cli.options),
    }
}

fn measure(options: Options) {
    let lab = Lab::new(options);
    let mut report = Report::new(&lab.options);
    for row in lab.options.rows() {
        let sections = match row {
            Row::Reads => rows::reads::measure(&lab),
            Row::Hits => rows::hits::measure(&lab),
            Row::Answers => rows::answers::measure(&lab),
            Row::Mix => rows::mix::measure(&lab),
            Row::Price => rows::price::measure(&lab),
            Row::Open => rows::open::measure(&lab),
            Row::Memory => rows::memory::measure(&lab),
            Row::Sends => rows::sends::measure(&lab),
            Row::Size => rows::size::measure(&lab),
            Row::Stats => rows::stats::measure(&lab),
            Row::Retention => rows::retention::measure(&lab),
            Row::Deliveries => rows::deliveries::measure(&lab),
            Row::Search => rows::search::measure(&lab),
            Row::Import => rows::import::measure(&lab),
            Row::Start => rows::start::measure(&lab),
        };
        for section in sections {
            println!("{section}");
            report.sections.push(section);
        }
    }
    println!("{}", report.summary());
    println!("written to {}", report.write().display());
}
