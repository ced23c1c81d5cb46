//! Delay from acceptance to hand-over under low load.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parlance_app::delivery::{AttemptResult, DeliveryObserver};
use parlance_app::messages::{ConversationTarget, NewMessage, SendMessage};
use parlance_app::{App, Clock as _, Settings, SystemClock};
use parlance_domain::message::Content;
use parlance_domain::{Channel, ConversationId, DeliveryPolicy, MessageId, Owner, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;

use super::{app, registry};
use crate::bare::multi_thread;
use crate::report::{Sample, quantile};
use crate::{child, message, proc};

/// Connections and prepared statements exist after these.
const WARMUP: u64 = 20;
/// A message that takes longer counts as lost.
const LOSS_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) url: String,
    /// Number of conversations, used round-robin: a message waits for the previous one in its conversation.
    #[arg(long)]
    pub(crate) conversations: u64,
    /// Sends per second, independent of responses.
    #[arg(long)]
    pub(crate) rate: f64,
    #[arg(long)]
    pub(crate) sends: u64,
    /// Delay of the scheduled send time in milliseconds; none sends at once.
    #[arg(long)]
    pub(crate) ahead_ms: Option<u64>,
}

/// Measured delays.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waits {
    /// From the response to the sender until the hand-over; zero if the hand-over came first.
    pub(crate) accepted: Sample,
    /// From the due time; for a message due at once that is the start of its send.
    pub(crate) due: Sample,
}

impl Args {
    /// Measures with these arguments in a separate process.
    pub(crate) fn measure(&self) -> Waits {
        let mut args = vec!["wait".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("conversations", self.conversations.to_string());
        option("rate", self.rate.to_string());
        option("sends", self.sends.to_string());
        if let Some(ahead) = self.ahead_ms {
            option("ahead-ms", ahead.to_string());
        }
        let printed = child::run(&args);
        serde_json::from_str(&printed).expect("the run prints the delays")
    }
}

struct NoObserver;

impl DeliveryObserver for NoObserver {
    fn handed_over(&self, _: Channel, _: Duration) {}
    fn attempted(&self, _: Channel, _: AttemptResult) {}
}

pub(crate) fn run(args: &Args) {
    let waits = multi_thread().block_on(waits(args));
    println!(
        "{}",
        serde_json::to_string(&waits).expect("samples become JSON")
    );
}

async fn waits(args: &Args) -> Waits {
    let (providers, mut handed_over_messages) = registry();
    let settings = Settings {
        providers,
        ..Settings::default()
    };
    let app = app(&args.url, settings).await;
    let dispatcher = tokio::spawn(Arc::clone(&app).run_dispatcher(Arc::new(NoObserver)));
    let total = WARMUP + args.sends;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / args.rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sends = Vec::new();
    let mut before = Duration::ZERO;
    for n in 0..total {
        ticks.tick().await;
        if n == WARMUP {
            before = proc::cpu(std::process::id());
        }
        let ahead = args.ahead_ms.map(Duration::from_millis);
        sends.push(tokio::spawn(send(
            Arc::clone(&app),
            n,
            n % args.conversations,
            ahead,
        )));
    }
    let mut handed_over = HashMap::new();
    let all = async {
        while handed_over.len() < sends.len() {
            let Some((id, at)) = handed_over_messages.recv().await else {
                return;
            };
            handed_over.insert(id, at);
        }
    };
    let ahead = Duration::from_millis(args.ahead_ms.unwrap_or_default());
    // Missing messages count as errors.
    let _ = tokio::time::timeout(LOSS_TIMEOUT + ahead, all).await;
    let used = proc::cpu(std::process::id()).saturating_sub(before);
    app.go_down();
    let (mut accepted, mut due, mut missing) = (Vec::new(), Vec::new(), 0);
    for send in sends {
        let sent = send.await.expect("a send task does not panic");
        match handed_over.get(&sent.id) {
            Some(at) if sent.n >= WARMUP => {
                accepted.push(micros(at.since(sent.accepted)));
                due.push(micros(at.since(sent.due)));
            }
            Some(_) => {}
            None => missing += 1,
        }
    }
    let _ = dispatcher.await;
    Waits {
        accepted: sample(accepted, args.rate, used, missing),
        due: sample(due, args.rate, used, missing),
    }
}

struct Sent {
    n: u64,
    id: MessageId,
    due: Timestamp,
    accepted: Timestamp,
}

async fn send(app: Arc<App>, n: u64, conversation: u64, ahead: Option<Duration>) -> Sent {
    let conversation = ConversationId::from_uuid(message::conversation_id(conversation));
    let new = NewMessage {
        target: ConversationTarget::Conversation(conversation),
        content: Content {
            body: message::body(n),
            ..Content::default()
        },
        attachments: Vec::new(),
    };
    let request = SendMessage {
        request_id: None,
        message: new,
        send_at: ahead.map(|ahead| SystemClock.now().plus(ahead)),
        expires_at: None,
        policy: DeliveryPolicy::AtLeastOnce,
    };
    let sent = app.send_message(&Owner::default(), request).await;
    let accepted = SystemClock.now();
    let message = sent
        .unwrap_or_else(|e| panic!("a send failed: {e:?}"))
        .value;
    Sent {
        n,
        id: message.id,
        due: message.send_at.unwrap_or(message.created_at),
        accepted,
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn sample(mut micros: Vec<u32>, rate: f64, used: Duration, missing: u64) -> Sample {
    micros.sort_unstable();
    let count = (micros.len() as f64).max(1.0);
    Sample {
        requests: micros.len() as u64,
        rate,
        mean_us: micros.iter().map(|micros| f64::from(*micros)).sum::<f64>() / count,
        p50_us: quantile(&micros, 500),
        p99_us: quantile(&micros, 990),
        p999_us: quantile(&micros, 999),
        server_cpu_us: Some(used.as_secs_f64() * 1e6 / count),
        errors: missing,
        first_error: (missing > 0)
            .then(|| format!("{missing} messages did not reach the provider in time")),
        ..Sample::default()
    }
}
