//! Import of existing conversations on one stream, as `parlance import` sends them.

use std::time::Instant;

use futures_util::stream;
use parlance_proto::v1;
use parlance_proto::v1::conversation_service_client::ConversationServiceClient;

use crate::bare::one_thread;
use crate::report::Sample;
use crate::{child, message, proc};

/// Messages per conversation: typical of a conversation with a shop.
const MESSAGES_EACH: u64 = 20;

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
    /// Number of messages.
    #[arg(long)]
    pub(crate) messages: u64,
    /// Prefix of the external ids; another prefix imports other conversations.
    #[arg(long)]
    pub(crate) name: String,
}

impl Args {
    /// Imports with these arguments in a separate process.
    pub(crate) fn measure(&self) -> Sample {
        let mut args = vec!["import".to_owned()];
        let mut option = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        option("url", self.url.clone());
        option("pid", self.pid.to_string());
        option("messages", self.messages.to_string());
        option("name", self.name.clone());
        if let Some(pid) = self.database_pid {
            option("database-pid", pid.to_string());
        }
        let printed = child::run(&args);
        serde_json::from_str(&printed).expect("the import prints a sample")
    }

    fn cpu(&self) -> [f64; 2] {
        let database = self.database_pid.map(proc::cpu_with_children);
        [proc::cpu(self.pid), database.unwrap_or_default()].map(|time| time.as_secs_f64() * 1e6)
    }
}

pub(crate) fn run(args: &Args) {
    let sample = one_thread().block_on(import(args));
    let json = serde_json::to_string(&sample).expect("a sample becomes JSON");
    println!("{json}");
}

async fn import(args: &Args) -> Sample {
    let client = ConversationServiceClient::connect(args.url.clone()).await;
    let mut client = client.expect("the service listens");
    let name = args.name.clone();
    let conversations =
        (0..args.messages / MESSAGES_EACH).map(move |number| conversation(&name, number));
    let before = args.cpu();
    let begin = Instant::now();
    let reply = client
        .import_conversations(stream::iter(conversations))
        .await;
    let seconds = begin.elapsed().as_secs_f64();
    let reply = reply.expect("the import succeeds").into_inner();
    let after = args.cpu();
    let done = reply.imported_messages + reply.skipped;
    let requests = u64::try_from(done).unwrap_or_default();
    let each = |part: usize| Some((after[part] - before[part]) / requests.max(1) as f64);
    Sample {
        requests,
        rate: requests as f64 / seconds,
        mean_us: seconds * 1e6 / requests.max(1) as f64,
        server_cpu_us: each(0),
        database_cpu_us: args.database_pid.and_then(|_| each(1)),
        errors: u64::try_from(reply.error_count).unwrap_or_default(),
        first_error: reply.errors.first().map(|error| error.description.clone()),
        ..Sample::default()
    }
}

fn conversation(name: &str, number: u64) -> v1::ImportConversationsRequest {
    let first = number * MESSAGES_EACH;
    let message = |n: u64| v1::Message {
        role: (if n.is_multiple_of(2) {
            v1::Role::User
        } else {
            v1::Role::Assistant
        })
        .into(),
        body: message::body(n),
        tokens_used: Some(40),
        created_at: Some(message::time(n, 0)),
        ..v1::Message::default()
    };
    v1::ImportConversationsRequest {
        conversation: Some(v1::Conversation {
            external_id: format!("{name}-{number}"),
            channel: v1::Channel::Chat.into(),
            user: format!("user {}", number % 100),
            title: format!("Order {}", message::order(first)),
            created_at: Some(message::time(first, 0)),
            ..v1::Conversation::default()
        }),
        messages: (first..first + MESSAGES_EACH).map(message).collect(),
        offset: None,
    }
}
