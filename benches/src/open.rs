//! Open loop: calls start at fixed times, independent of earlier calls. A closed loop sends no requests to a server
//! that stalls, and thus misses the delays that users see.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::ValueEnum;
use parlance_proto::v1;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{FieldMask, Struct, Value};
use serde::{Deserialize, Serialize};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::bare::multi_thread;
use crate::load::connect;
use crate::message;
use crate::raw::Raw;
use crate::report::quantile;

const CONNECTIONS: usize = 8;
/// Interval at which due calls are started. Timers of the runtime have a resolution of one millisecond, which would
/// dominate the results.
const TICK: Duration = Duration::from_micros(200);
/// Deadline of a call.
const DEADLINE: Duration = Duration::from_secs(5);

/// Fault injected into Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RedisFault {
    /// The process ends, and its port refuses connections
    Killed,
    /// The process is stopped, and its connections stay open
    Stopped,
}

impl RedisFault {
    const fn signal(self) -> &'static str {
        match self {
            Self::Killed => "KILL",
            Self::Stopped => "STOP",
        }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) url: String,
    /// Number of messages to choose from.
    #[arg(long)]
    pub(crate) messages: u64,
    /// Calls per second.
    #[arg(long)]
    pub(crate) rate: u32,
    /// One write per this many calls; none if unset.
    #[arg(long)]
    pub(crate) writes: Option<u64>,
    /// Warm-up in seconds.
    #[arg(long)]
    pub(crate) warmup: u32,
    /// Seconds without a fault.
    #[arg(long)]
    pub(crate) calm: u32,
    /// Process id of the Redis server to inject the fault into.
    #[arg(long)]
    pub(crate) redis: Option<u32>,
    #[arg(long, value_enum, default_value_t = RedisFault::Killed)]
    pub(crate) redis_fault: RedisFault,
}

/// Calls that were due in a time span.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) calls: usize,
    pub(crate) hits: usize,
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
    /// Of hits, from the due time.
    pub(crate) hit_p50_us: Option<f64>,
    pub(crate) hit_p99_us: Option<f64>,
    /// Of all reads.
    pub(crate) read_p50_us: Option<f64>,
    pub(crate) read_p99_us: Option<f64>,
    /// Of the reads in the second half of the span, when the fault has been detected.
    pub(crate) late_read_p99_us: Option<f64>,
}

/// Result of an open loop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) calm: Span,
    /// The second after the fault was injected.
    pub(crate) fault: Option<Span>,
}

/// One call.
struct Call {
    /// Due time since the start of the loop.
    due: Duration,
    micros: u32,
    kind: CallKind,
}

#[derive(Clone)]
enum CallKind {
    Hit,
    Read,
    Write,
    Failed(String),
}

impl Args {
    /// Runs the loop in a separate process.
    pub(crate) fn measure(&self) -> Measured {
        let mut args = vec!["open".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("messages", self.messages.to_string());
        option("rate", self.rate.to_string());
        if let Some(writes) = self.writes {
            option("writes", writes.to_string());
        }
        option("warmup", self.warmup.to_string());
        option("calm", self.calm.to_string());
        if let Some(redis) = self.redis {
            option("redis", redis.to_string());
            let redis_fault = self.redis_fault.to_possible_value();
            option(
                "redis-fault",
                redis_fault
                    .map(|value| value.get_name().to_owned())
                    .unwrap_or_default(),
            );
        }
        let printed = crate::child::run(&args);
        serde_json::from_str(&printed).expect("the open loop prints its result")
    }
}

pub(crate) fn run(args: &Args) {
    let calls = all(args);
    let second = |n: u32| Duration::from_secs(n.into());
    let (begin, fault) = (second(args.warmup), second(args.warmup + args.calm));
    let measured = Measured {
        calm: span(&calls, begin, fault),
        fault: args.redis.map(|_| span(&calls, fault, fault + second(1))),
    };
    println!(
        "{}",
        serde_json::to_string(&measured).expect("the result is JSON")
    );
}

fn all(args: &Args) -> Vec<Call> {
    let runtime = multi_thread();
    let connect_all = async {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(connect(&args.url).await);
        }
        channels
    };
    let channels = runtime.block_on(connect_all);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let fault_at = Duration::from_secs((args.warmup + args.calm).into());
    let end = fault_at + Duration::from_secs(u64::from(args.redis.is_some()));
    let mut fault = args.redis;
    let began = Instant::now();
    let mut count = 0_u64;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        std::thread::sleep(TICK);
        let now = began.elapsed();
        if now >= end {
            break;
        }
        if now >= fault_at
            && let Some(redis) = fault.take()
        {
            signal(redis, args.redis_fault);
        }
        // Calls missed by a late tick start now; their delay counts from the due time.
        while now.as_micros() * u128::from(args.rate) >= u128::from(count) * 1_000_000 {
            let due = Duration::from_micros(count * 1_000_000 / u64::from(args.rate));
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let n = random % args.messages;
            let writes = args.writes.is_some_and(|each| count.is_multiple_of(each));
            let channel =
                channels[usize::try_from(count).unwrap_or_default() % CONNECTIONS].clone();
            let calls = Arc::clone(&calls);
            runtime.spawn(async move {
                let kind = if writes {
                    write(channel, n, count).await
                } else {
                    read(channel, n).await
                };
                let waited = began.elapsed().saturating_sub(due);
                let call = Call {
                    due,
                    micros: u32::try_from(waited.as_micros()).unwrap_or(u32::MAX),
                    kind,
                };
                calls
                    .lock()
                    .expect("no thread panics while it holds the lock")
                    .push(call);
            });
            count += 1;
        }
    }
    std::thread::sleep(DEADLINE);
    let mut calls = calls
        .lock()
        .expect("no thread panics while it holds the lock");
    std::mem::take(&mut *calls)
}

fn signal(pid: u32, redis_fault: RedisFault) {
    let sent = Command::new("kill")
        .args([format!("-{}", redis_fault.signal()), pid.to_string()])
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "cannot send the signal to Redis"
    );
}

async fn unary(
    channel: Channel,
    path: &'static str,
    message: Vec<u8>,
) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel);
    let ready = grpc.ready().await;
    ready.map_err(|e| Status::unavailable(e.to_string()))?;
    let mut request = Request::new(Bytes::from(message));
    request.set_timeout(DEADLINE);
    grpc.unary(request, PathAndQuery::from_static(path), Raw)
        .await
}

async fn read(channel: Channel, n: u64) -> CallKind {
    let request = v1::GetMessageRequest {
        id: message::message_id(n).to_string(),
        ..v1::GetMessageRequest::default()
    };
    let path = "/parlance.v1.MessageService/GetMessage";
    match unary(channel, path, request.encode_to_vec()).await {
        Ok(response) => {
            let from = response.metadata().get("x-parlance-cache");
            let from = from.map(MetadataValue::as_bytes).unwrap_or_default();
            if matches!(from, b"memory" | b"redis") {
                CallKind::Hit
            } else {
                CallKind::Read
            }
        }
        Err(status) => CallKind::Failed(status.to_string()),
    }
}

/// Changes a message that is also read.
async fn write(channel: Channel, n: u64, count: u64) -> CallKind {
    let value = Value {
        kind: Some(Kind::StringValue(count.to_string())),
    };
    let message = v1::Message {
        id: message::message_id(n).to_string(),
        metadata: Some(Struct {
            fields: [("count".to_owned(), value)].into(),
        }),
        ..v1::Message::default()
    };
    let request = v1::UpdateMessageRequest {
        message: Some(message),
        update_mask: Some(FieldMask {
            paths: vec!["metadata".to_owned()],
        }),
    };
    let path = "/parlance.v1.MessageService/UpdateMessage";
    match unary(channel, path, request.encode_to_vec()).await {
        Ok(_) => CallKind::Write,
        Err(status) => CallKind::Failed(status.to_string()),
    }
}

fn span(calls: &[Call], from: Duration, to: Duration) -> Span {
    let calls: Vec<&Call> = calls
        .iter()
        .filter(|call| (from..to).contains(&call.due))
        .collect();
    let micros = |of: &dyn Fn(&Call) -> bool| {
        let calls = calls.iter().filter(|call| of(call));
        let mut micros: Vec<u32> = calls.map(|call| call.micros).collect();
        micros.sort_unstable();
        micros
    };
    let is_hit = |call: &Call| matches!(call.kind, CallKind::Hit);
    let is_read = |call: &Call| matches!(call.kind, CallKind::Hit | CallKind::Read);
    let middle = (from + to) / 2;
    let (hits, reads) = (micros(&is_hit), micros(&is_read));
    let errors = calls.iter().filter_map(|call| match &call.kind {
        CallKind::Failed(error) => Some(error.clone()),
        CallKind::Hit | CallKind::Read | CallKind::Write => None,
    });
    let errors: Vec<String> = errors.collect();
    Span {
        calls: calls.len(),
        hits: hits.len(),
        errors: errors.len(),
        first_error: errors.into_iter().next(),
        hit_p50_us: quantile(&hits, 500),
        hit_p99_us: quantile(&hits, 990),
        read_p50_us: quantile(&reads, 500),
        read_p99_us: quantile(&reads, 990),
        late_read_p99_us: quantile(&micros(&|call| is_read(call) && call.due >= middle), 990),
    }
}
