//! Load generator: a closed loop of calls over several connections, in a separate process.
//!
//! It reads the server's CPU time itself, at the start and the end of the measurement.

mod call;
mod last;
mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::ValueEnum as _;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::bare::one_thread;
use crate::find::Find;
use crate::raw::Raw;
use crate::report::{Sample, quantile};
use crate::{child, proc};

pub(crate) use call::Call;
use requests::Requests;

/// Number of connections, and of concurrent calls on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    connections: usize,
    streams: usize,
}

impl Shape {
    pub(crate) const fn new(connections: usize, streams: usize) -> Self {
        Self {
            connections,
            streams,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.connections, self.streams)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) url: String,
    /// Process id of the server.
    #[arg(long)]
    pub(crate) pid: u32,
    /// Process id of the database server, if there is one.
    #[arg(long)]
    pub(crate) database_pid: Option<u32>,
    #[arg(long, value_enum)]
    pub(crate) call: Call,
    /// Kind of search.
    #[arg(long, value_enum, default_value_t = Find::Newest)]
    pub(crate) find: Find,
    /// Number of messages to choose from.
    #[arg(long)]
    pub(crate) messages: u64,
    /// Number of users that own the conversations, round-robin.
    #[arg(long)]
    pub(crate) users: u64,
    #[arg(long)]
    pub(crate) connections: usize,
    #[arg(long)]
    pub(crate) streams: usize,
    #[arg(long)]
    pub(crate) warmup: f64,
    #[arg(long)]
    pub(crate) seconds: f64,
}

impl Args {
    /// Runs a load generator with these arguments and returns its sample.
    pub(crate) fn measure(&self) -> Sample {
        let call = self
            .call
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let find = self
            .find
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let mut args = vec!["load".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("pid", self.pid.to_string());
        option("call", call.unwrap_or_default());
        option("find", find.unwrap_or_default());
        option("messages", self.messages.to_string());
        option("users", self.users.to_string());
        option("connections", self.connections.to_string());
        option("streams", self.streams.to_string());
        option("warmup", self.warmup.to_string());
        option("seconds", self.seconds.to_string());
        if let Some(pid) = self.database_pid {
            option("database-pid", pid.to_string());
        }
        let printed = child::run(&args);
        serde_json::from_str(&printed).expect("a load generator prints a sample")
    }

    pub(crate) const fn shaped(mut self, shape: Shape) -> Self {
        self.connections = shape.connections;
        self.streams = shape.streams;
        self
    }
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const DONE: u8 = 2;

/// Results of one stream of calls during the measurement.
#[derive(Debug, Default)]
struct StreamResult {
    micros: Vec<u32>,
    bytes: u64,
    errors: u64,
    first_error: Option<String>,
}

pub(crate) fn run(args: &Args) {
    let phase = Arc::new(AtomicU8::new(WARMING));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(args.connections);
    let token = one_thread().block_on(last::token(args));
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            // Each thread has its own connections and runtime, because waking other threads costs more than it gains.
            let connections = (thread..args.connections).step_by(threads);
            let (args, token, phase) = (args.clone(), token.clone(), Arc::clone(&phase));
            let streams = move || one_thread().block_on(streams(args, token, connections, phase));
            std::thread::spawn(streams)
        })
        .collect();

    std::thread::sleep(Duration::from_secs_f64(args.warmup));
    let begin = Instant::now();
    let before = used(args);
    phase.store(MEASURING, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    phase.store(DONE, Ordering::Relaxed);
    let after = used(args);
    let elapsed = begin.elapsed();

    let results = workers
        .into_iter()
        .flat_map(|worker| worker.join().expect("the worker thread does not panic"))
        .collect();
    let server = after.0.saturating_sub(before.0);
    let sample = sample(results, elapsed, (server, after.1.saturating_sub(before.1)));
    let sample = Sample {
        database_cpu_us: sample
            .database_cpu_us
            .filter(|_| args.database_pid.is_some()),
        ..sample
    };
    println!(
        "{}",
        serde_json::to_string(&sample).expect("a sample becomes JSON")
    );
}

/// Returns the CPU time of the server and of the database.
fn used(args: &Args) -> (Duration, Duration) {
    let database = args.database_pid.map(proc::cpu_with_children);
    (proc::cpu(args.pid), database.unwrap_or_default())
}

fn sample(results: Vec<StreamResult>, elapsed: Duration, used: (Duration, Duration)) -> Sample {
    let errors = results.iter().map(|s| s.errors).sum();
    let bytes: u64 = results.iter().map(|s| s.bytes).sum();
    let first_error = results.iter().find_map(|s| s.first_error.clone());
    let mut micros: Vec<u32> = results.into_iter().flat_map(|s| s.micros).collect();
    micros.sort_unstable();
    let count = micros.len();
    let per_request = |total: f64| {
        if count == 0 {
            0.0
        } else {
            total / count as f64
        }
    };
    Sample {
        requests: count as u64,
        rate: count as f64 / elapsed.as_secs_f64(),
        mean_us: per_request(micros.iter().map(|micros| f64::from(*micros)).sum()),
        p50_us: quantile(&micros, 500),
        p99_us: quantile(&micros, 990),
        p999_us: quantile(&micros, 999),
        server_cpu_us: Some(per_request(used.0.as_secs_f64() * 1e6)),
        database_cpu_us: Some(per_request(used.1.as_secs_f64() * 1e6)),
        reply_bytes: Some(per_request(bytes as f64)),
        errors,
        first_error,
    }
}

async fn streams(
    args: Args,
    token: String,
    connections: impl Iterator<Item = usize>,
    phase: Arc<AtomicU8>,
) -> Vec<StreamResult> {
    let mut streams = Vec::new();
    for connection in connections {
        let channel = connect(&args.url).await;
        for stream in 0..args.streams {
            let requests = Requests::new(&args, &token, connection * args.streams + stream);
            let calls = calls(channel.clone(), requests, Arc::clone(&phase));
            streams.push(tokio::spawn(calls));
        }
    }
    let mut results = Vec::new();
    for stream in streams {
        results.push(stream.await.expect("a stream of calls does not panic"));
    }
    results
}

pub(crate) async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("the server URL is valid");
    // Large enough for a page of messages on every stream; otherwise the windows would limit the rate.
    let endpoint = endpoint
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 26);
    let channel = endpoint.connect().await;
    channel.unwrap_or_else(|e| panic!("cannot connect to {url}: {e:?}"))
}

/// Makes calls in a loop. Only calls that lie completely within the measurement count.
async fn calls(channel: Channel, mut requests: Requests, phase: Arc<AtomicU8>) -> StreamResult {
    let mut grpc = Grpc::new(channel);
    let mut result = StreamResult::default();
    loop {
        let phase_before = phase.load(Ordering::Relaxed);
        if phase_before == DONE {
            return result;
        }
        let (call, request) = requests.next();
        let path = call.path();
        let begin = Instant::now();
        let answer = unary(&mut grpc, request, path).await;
        let micros = begin.elapsed().as_micros();
        let checked = answer.and_then(|bytes| {
            // During the warm-up only: decoding takes CPU time from the server.
            if phase_before == WARMING {
                call.check(&bytes)?;
            }
            Ok(bytes.len())
        });
        match checked {
            Ok(bytes)
                if phase_before == MEASURING && phase.load(Ordering::Relaxed) == MEASURING =>
            {
                result
                    .micros
                    .push(u32::try_from(micros).unwrap_or(u32::MAX));
                result.bytes += bytes as u64;
            }
            Ok(_) => {}
            Err(status) => {
                result.errors += 1;
                result.first_error.get_or_insert_with(|| status.to_string());
                // An unavailable server refuses at once; the pause limits the loop's rate.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

async fn unary(
    grpc: &mut Grpc<Channel>,
    request: Bytes,
    path: PathAndQuery,
) -> Result<Bytes, Status> {
    let ready = grpc.ready().await;
    ready.map_err(|e| Status::unavailable(e.to_string()))?;
    let answer = grpc.unary(Request::new(request), path, Raw).await?;
    Ok(answer.into_inner())
}
