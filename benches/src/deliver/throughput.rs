//! How fast the dispatcher delivers what is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parlance_app::Settings;
use parlance_app::delivery::{AttemptResult, DeliveryObserver, Pace};
use parlance_domain::Channel;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{app, carriers};
use crate::bare::multi_thread;
use crate::report::Sample;
use crate::{child, proc};

/// Without a delivery for so long it has stopped.
const STUCK: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) database_pid: u32,
    /// Messages under way at once.
    #[arg(long)]
    pub(crate) workers: usize,
    /// How many there are, or fewer.
    #[arg(long)]
    pub(crate) jobs: u64,
}

/// What it took to deliver them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drained {
    pub(crate) sample: Sample,
    /// Jobs a second in each tenth of them.
    pub(crate) tenths: Vec<f64>,
}

impl Args {
    /// Delivers with these arguments, in a process of its own.
    pub(crate) fn measure(&self) -> Drained {
        let mut args = vec!["drain".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("database-pid", self.database_pid.to_string());
        option("workers", self.workers.to_string());
        option("jobs", self.jobs.to_string());
        let printed = child::run(&args);
        serde_json::from_str(&printed).expect("it prints what it took")
    }
}

/// Notes when the outcome of each attempt was written.
struct Times {
    accepted: Mutex<Vec<Instant>>,
    others: Mutex<Vec<AttemptResult>>,
    jobs: usize,
    progress: Notify,
}

impl Times {
    fn count(&self) -> usize {
        self.accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl DeliveryObserver for Times {
    fn handed_over(&self, _: Channel, _: Duration) {}

    fn attempted(&self, _: Channel, result: AttemptResult) {
        if result == AttemptResult::Accepted {
            let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            accepted.push(Instant::now());
            if accepted.len() >= self.jobs {
                self.progress.notify_one();
            }
        } else {
            let others = self.others.lock();
            others.unwrap_or_else(PoisonError::into_inner).push(result);
        }
    }
}

pub(crate) fn run(args: &Args) {
    let drained = multi_thread().block_on(drain(args));
    println!(
        "{}",
        serde_json::to_string(&drained).expect("a sample becomes JSON")
    );
}

async fn drain(args: &Args) -> Drained {
    let pace = Pace {
        workers: args.workers,
        ..Pace::default()
    };
    let settings = Settings {
        pace,
        ..Settings::default()
    };
    let app = app(&args.url, settings).await;
    let (carriers, _) = carriers();
    let jobs = usize::try_from(args.jobs).expect("so many fit into memory");
    let times = Arc::new(Times {
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
    let dispatcher = tokio::spawn(Arc::clone(&app).run_dispatcher(carriers, observer));
    let mut seen = 0;
    while tokio::time::timeout(STUCK, times.progress.notified())
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
    let accepted = times.accepted.lock();
    let mut accepted = accepted.unwrap_or_else(PoisonError::into_inner).clone();
    let others = times.others.lock();
    let others = others.unwrap_or_else(PoisonError::into_inner).clone();
    let finished = accepted.len().min(jobs);
    let missing = (jobs - finished) as u64;
    // Those that were under way when the last of ours was written.
    accepted.truncate(jobs);
    let end = accepted
        .last()
        .map_or(begin.elapsed(), |last| last.duration_since(begin));
    let each = |used: Duration| Some(used.as_secs_f64() * 1e6 / (finished as f64).max(1.0));
    let first_error = match others.first() {
        Some(other) => Some(format!("{} ended as `{}`", others.len(), other.as_str())),
        None => (missing > 0).then(|| format!("{missing} were not delivered")),
    };
    Drained {
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

/// The rate in each tenth.
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
