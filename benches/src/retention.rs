//! Retention run of the service without its transport, in a separate process.

use std::time::{Duration, Instant};

use parlance_app::{Clock as _, Settings, SystemClock};
use parlance_domain::Timestamp;

use crate::bare::multi_thread;
use crate::deliver::app;
use crate::report::Sample;
use crate::{child, message, proc};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) url: String,
    /// Process id of the database server, if there is one.
    #[arg(long)]
    pub(crate) database_pid: Option<u32>,
    /// Number of the first message that stays.
    #[arg(long)]
    pub(crate) first: u64,
    /// Number of messages before it.
    #[arg(long)]
    pub(crate) messages: u64,
}

/// Tolerance in messages, which are one millisecond apart: some more expire before the service is ready, and those are
/// missing in the next round.
const TOLERANCE: u64 = 100;

impl Args {
    /// Deletes aged messages in a separate process.
    pub(crate) fn measure(&self) -> Sample {
        let mut args = vec!["retention".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("first", self.first.to_string());
        option("messages", self.messages.to_string());
        if let Some(pid) = self.database_pid {
            option("database-pid", pid.to_string());
        }
        let printed = child::run(&args);
        serde_json::from_str(&printed).expect("the retention run prints a sample")
    }

    /// Returns the retention period for which message `first` is the oldest that stays.
    fn retention_period(&self) -> Duration {
        let millis = i64::try_from(message::EPOCH_MS + self.first).unwrap_or(i64::MAX);
        SystemClock
            .now()
            .since(Timestamp::from_micros(millis.saturating_mul(1000)))
    }
}

pub(crate) fn run(args: &Args) {
    let sample = multi_thread().block_on(drop_aged(args));
    let json = serde_json::to_string(&sample).expect("a sample becomes JSON");
    println!("{json}");
}

async fn drop_aged(args: &Args) -> Sample {
    let settings = Settings {
        retention: Some(args.retention_period()),
        ..Settings::default()
    };
    let app = app(&args.url, settings).await;
    let cpu = || {
        let database = args.database_pid.map(proc::cpu_with_children);
        [proc::cpu(std::process::id()), database.unwrap_or_default()]
    };
    let (begin, before) = (Instant::now(), cpu());
    let dropped = app.drop_aged().await;
    let (seconds, after) = (begin.elapsed().as_secs_f64(), cpu());
    let (messages, conversations) = dropped.unwrap_or_else(|e| panic!("{e:?}"));
    let requests = messages as u64;
    let each = |part: usize| {
        let used = after[part].saturating_sub(before[part]);
        Some(used.as_secs_f64() * 1e6 / requests.max(1) as f64)
    };
    let missing = args.messages.saturating_sub(requests + TOLERANCE);
    Sample {
        requests,
        rate: requests as f64 / seconds,
        mean_us: seconds * 1e6 / requests.max(1) as f64,
        server_cpu_us: each(0),
        database_cpu_us: args.database_pid.and_then(|_| each(1)),
        errors: missing,
        first_error: (missing > 0).then(|| {
            format!("only {messages} messages and {conversations} conversations were deleted")
        }),
        ..Sample::default()
    }
}
