//! An open loop: calls begin when they are due, whatever became of those before them. A closed loop would ask a service that
//! stands still for nothing, and so never see what its users wait for.

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
/// How often calls that are due begin. Timers of the runtime are no finer than a millisecond, which would be what is measured.
const TICK: Duration = Duration::from_micros(200);
/// Nobody waits longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// What happens to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fate {
    /// It ends, and its port refuses
    Killed,
    /// It stands still, and its connections stay
    Stopped,
}

impl Fate {
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
    /// How many messages there are to choose from.
    #[arg(long)]
    pub(crate) messages: u64,
    /// Calls a second.
    #[arg(long)]
    pub(crate) rate: u32,
    /// One call of so many is a write; none without it.
    #[arg(long)]
    pub(crate) writes: Option<u64>,
    /// How long it takes until all is warm.
    #[arg(long)]
    pub(crate) warmup: u32,
    /// How long nothing happens.
    #[arg(long)]
    pub(crate) calm: u32,
    /// The server that something happens to then.
    #[arg(long)]
    pub(crate) redis: Option<u32>,
    #[arg(long, value_enum, default_value_t = Fate::Killed)]
    pub(crate) fate: Fate,
}

/// Calls that were due in a span of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) calls: usize,
    pub(crate) hits: usize,
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
    /// Of hits alone, from when they were due.
    pub(crate) hit_p50_us: Option<f64>,
    pub(crate) hit_p99_us: Option<f64>,
    /// Of all reads.
    pub(crate) read_p50_us: Option<f64>,
    pub(crate) read_p99_us: Option<f64>,
    /// Of the second half of the span's reads: when what had happened was known.
    pub(crate) late_read_p99_us: Option<f64>,
}

/// What was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) calm: Span,
    /// The second that began when something happened to Redis.
    pub(crate) fault: Option<Span>,
}

/// One call.
struct Call {
    /// Since the loop began.
    due: Duration,
    micros: u32,
    kind: Called,
}

#[derive(Clone)]
enum Called {
    Hit,
    Read,
    Write,
    Failed(String),
}

impl Args {
    /// Runs the loop in a process of its own.
    pub(crate) fn measure(&self) -> Seen {
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
            let fate = self.fate.to_possible_value();
            option(
                "fate",
                fate.map(|fate| fate.get_name().to_owned())
                    .unwrap_or_default(),
            );
        }
        let printed = crate::child::run(&args);
        serde_json::from_str(&printed).expect("an open loop prints what it saw")
    }
}

pub(crate) fn run(args: &Args) {
    let calls = all(args);
    let second = |n: u32| Duration::from_secs(n.into());
    let (begin, fault) = (second(args.warmup), second(args.warmup + args.calm));
    let seen = Seen {
        calm: span(&calls, begin, fault),
        fault: args.redis.map(|_| span(&calls, fault, fault + second(1))),
    };
    println!("{}", serde_json::to_string(&seen).expect("it becomes JSON"));
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
            signal(redis, args.fate);
        }
        // What a late tick left out begins now, and waited since it was due.
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
                calls.lock().expect("nobody panics with it").push(call);
            });
            count += 1;
        }
    }
    std::thread::sleep(DEADLINE);
    let mut calls = calls.lock().expect("nobody panics with it");
    std::mem::take(&mut *calls)
}

fn signal(pid: u32, fate: Fate) {
    let sent = Command::new("kill")
        .args([format!("-{}", fate.signal()), pid.to_string()])
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "no signal reached Redis"
    );
}

async fn ask(
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

async fn read(channel: Channel, n: u64) -> Called {
    let request = v1::GetMessageRequest {
        id: message::message_id(n).to_string(),
        ..v1::GetMessageRequest::default()
    };
    let path = "/parlance.v1.MessageService/GetMessage";
    match ask(channel, path, request.encode_to_vec()).await {
        Ok(response) => {
            let from = response.metadata().get("x-parlance-cache");
            let from = from.map(MetadataValue::as_bytes).unwrap_or_default();
            if matches!(from, b"memory" | b"redis") {
                Called::Hit
            } else {
                Called::Read
            }
        }
        Err(status) => Called::Failed(status.to_string()),
    }
}

/// A message that others read changes.
async fn write(channel: Channel, n: u64, count: u64) -> Called {
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
    match ask(channel, path, request.encode_to_vec()).await {
        Ok(_) => Called::Write,
        Err(status) => Called::Failed(status.to_string()),
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
    let is_hit = |call: &Call| matches!(call.kind, Called::Hit);
    let is_read = |call: &Call| matches!(call.kind, Called::Hit | Called::Read);
    let middle = (from + to) / 2;
    let (hits, reads) = (micros(&is_hit), micros(&is_read));
    let errors = calls.iter().filter_map(|call| match &call.kind {
        Called::Failed(error) => Some(error.clone()),
        Called::Hit | Called::Read | Called::Write => None,
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
