//! Throughput of the dispatcher on due deliveries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use parlance_app::Settings;
use parlance_app::delivery::{AttemptResult, DeliveryObserver, Pace};
use parlance_domain::Channel;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{app, registry};
use crate::bare::multi_thread;
use crate::report::Sample;
use crate::{child, proc};

/// Without progress for this long, the dispatcher is considered stopped.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) database_pid: u32,
    /// Concurrent hand-overs.
    #[arg(long)]
    pub(crate) workers: usize,
    /// Number of deliveries, or fewer.
    #[arg(long)]
    pub(crate) jobs: u64,
}

/// Result of a throughput measurement.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Throughput {
    pub(crate) sample: Sample,
    /// Deliveries per second in each tenth of them.
    pub(crate) tenths: Vec<f64>,
}

impl Args {
    /// Delivers with these arguments in a separate process.
    pub(crate) fn measure(&self) -> Throughput {
        let mut args = vec!["deliver".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("database-pid", self.database_pid.to_string());
        option("workers", self.workers.to_string());
        option("jobs", self.jobs.to_string());
        let printed = child::run(&args);
        serde_json::from_str(&printed).expect("the dispatcher run prints its throughput")
    }
}

/// Records when the outcome of each attempt was written.
struct OutcomeTimes {
    accepted: Mutex<Vec<Instant>>,
    others: Mutex<Vec<AttemptResult>>,
    jobs: usize,
    progress: Notify,
}

impl OutcomeTimes {
    fn count(&self) -> usize {
        self.accepted.lock().len()
    }
}

impl DeliveryObserver for OutcomeTimes {
    fn handed_over(&self, _: Channel, _: Duration) {}

    fn attempted(&self, _: Channel, result: AttemptResult) {
        if result == AttemptResult::Accepted {
            let mut accepted = self.accepted.lock();
            accepted.push(Instant::now());
            if accepted.len() >= self.jobs {
                self.progress.notify_one();
            }
        } else {
            self.others.lock().push(result);
        }
    }
}

pub(crate) fn run(args: &Args) {
    let throughput = multi_thread().block_on(deliver(args));
    println!(
        "{}",
        serde_json::to_string(&throughput).expect("a sample becomes JSON")
    );
}

async fn deliver(args: &Args) -> Throughput {
    let pace = Pace {
        workers: args.workers,
        ..Pace::default()
    };
    let (providers, _) = registry();
    let settings = Settings {
        pace,
        providers,
        ..Settings::default()
    };
    let app = app(&args.url, settings).await;
    let jobs = usize::try_from(args.jobs).expect("the number fits into memory");
    let times = Arc::new(OutcomeTimes {
        accepted: Mutex::new(Vec::with_capacity(jobs)),
        others: Mutex::default(),
        jobs,
        progress: Notify::new(),
    });
    let cpu = || {
        let database = proc::cpu_with_children(args.database_pid);
        (proc::cpu(std::process::id()), database)
    };
    let (begin, before) = (Instant::now(), cpu());
    let observer = Arc::clone(&times) as Arc<dyn DeliveryObserver>;
    let dispatcher = tokio::spawn(Arc::clone(&app).run_dispatcher(observer));
    let mut seen = 0;
    while tokio::time::timeout(STALL_TIMEOUT, times.progress.notified())
        .await
        .is_err()
    {
        let count = times.count();
        if count == seen {
            break;
        }
        seen = count;
    }
    let after = cpu();
    app.go_down();
    let _ = dispatcher.await;
    let mut accepted = times.accepted.lock().clone();
    let others = times.others.lock().clone();
    let finished = accepted.len().min(jobs);
    let missing = (jobs - finished) as u64;
    // Without those in progress when the last one counted was written.
    accepted.truncate(jobs);
    let end = accepted
        .last()
        .map_or(begin.elapsed(), |last| last.duration_since(begin));
    let each = |used: Duration| Some(used.as_secs_f64() * 1e6 / (finished as f64).max(1.0));
    let first_error = match others.first() {
        Some(other) => Some(format!("{} ended as `{}`", others.len(), other.as_str())),
        None => (missing > 0).then(|| format!("{missing} were not delivered")),
    };
    Throughput {
        sample: Sample {
            requests: finished as u64,
            rate: finished as f64 / end.as_secs_f64(),
            server_cpu_us: each(after.0.saturating_sub(before.0)),
            database_cpu_us: each(after.1.saturating_sub(before.1)),
            errors: missing + others.len() as u64,
            first_error,
            ..Sample::default()
        },
        tenths: tenths(begin, &accepted),
    }
}

/// Returns the rate in each tenth.
fn tenths(begin: Instant, times: &[Instant]) -> Vec<f64> {
    let tenth = (times.len() / 10).max(1);
    let ends = times.chunks_exact(tenth).filter_map(<[Instant]>::last);
    let mut from = begin;
    ends.map(|end| {
        let took = end.duration_since(from).as_secs_f64();
        from = *end;
        tenth as f64 / took.max(f64::EPSILON)
    })
    .collect()
}
