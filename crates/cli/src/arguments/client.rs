//! Arguments of the commands that call a running service.

use clap::Args;
use prost_types::Timestamp;

use super::values::{
    self, ChannelName, DEFAULT_SERVER, DirectionName, MessageChannelName, MessageStatusName,
    RoleName, Server, StatusName,
};

/// Options that all client commands share.
#[derive(Debug, Args)]
pub(crate) struct Caller {
    /// gRPC address of the service
    #[arg(long, value_name = "URL", env = "PARLANCE_SERVER", default_value = DEFAULT_SERVER, value_parser = values::server)]
    pub(crate) server: Server,
    /// Owner (tenant) to act for, sent as `x-parlance-owner` [default: default]
    #[arg(long, value_name = "OWNER", value_parser = values::owner)]
    pub(crate) owner: Option<values::Owner>,
    /// Print one JSON object per line (protobuf JSON mapping)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Send a message
///
/// The target is an address (`--from` and `--to`: an email if `--to` is an email address, else an SMS), an existing
/// conversation (`--conversation`), or a chat (`--chat`).
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["to", "conversation", "chat"]))]
pub(crate) struct Send {
    /// Sender address: a phone number such as +15550001111, or an email address
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    pub(crate) from: Option<String>,
    /// Recipient address, of the same kind as `--from`
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    pub(crate) to: Option<String>,
    /// Conversation to send to
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Chat to send to, by its external id; created if it does not exist
    #[arg(long, value_name = "EXTERNAL_ID")]
    pub(crate) chat: Option<String>,
    /// Role of the author in the chat [default: user]
    #[arg(long, conflicts_with = "to")]
    pub(crate) role: Option<RoleName>,
    /// User that a new conversation belongs to
    #[arg(long, value_name = "USER", conflicts_with = "conversation")]
    pub(crate) user: Option<String>,
    /// Subject of an email
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// Time to send the message, such as 2026-01-31T09:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) at: Option<Timestamp>,
    /// Idempotency key: repeated requests with the same id create one message
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Wait for the final status and print each status; exit code 1 unless the message was delivered
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Text of the message
    pub(crate) text: String,
}

/// Reply as the customer, through the simulated network
///
/// Works for channels that the simulator serves. The reply comes from the customer, so `--from` is the customer's
/// address (the `to_address` of the RPC, where your message went), and `--to` is your address (the `from_address` of
/// the RPC).
#[derive(Debug, Args)]
pub(crate) struct Reply {
    /// Address of the customer, who sends the reply
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: String,
    /// Your address, which receives the reply
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: String,
    /// Subject of an email
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Text of the message
    pub(crate) text: String,
}

/// Show a message with its delivery events, or a conversation
///
/// With `--json`, the events of a message are printed as a second line.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Id of a message or of a conversation
    pub(crate) id: String,
}

/// List conversations, or the messages of a conversation
///
/// Conversations are listed with the most recently active first. Of a conversation, the last messages are listed, the
/// oldest first.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only conversations with unread messages
    #[arg(long)]
    pub(crate) unread: bool,
    /// Only conversations of this channel
    #[arg(long)]
    pub(crate) channel: Option<ChannelName>,
    /// Only conversations with this status
    #[arg(long)]
    pub(crate) status: Option<StatusName>,
    /// Maximum number of results
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Conversation to list the messages of
    #[arg(value_name = "CONVERSATION_ID", conflicts_with_all = ["user", "unread", "channel", "status"])]
    pub(crate) conversation: Option<String>,
}

/// Search messages
///
/// Finds messages that contain all words in the body, the subject or the title of the conversation. The best matches
/// come first; without words, the newest messages. Words are literal: quotes and other punctuation only separate words.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Only messages in conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only messages of this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Only messages of this channel
    #[arg(long)]
    pub(crate) channel: Option<MessageChannelName>,
    /// Only messages in this direction
    #[arg(long)]
    pub(crate) direction: Option<DirectionName>,
    /// Only messages with this status
    #[arg(long)]
    pub(crate) status: Option<MessageStatusName>,
    /// Only messages from this time or later, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) after: Option<Timestamp>,
    /// Only messages from before this time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) before: Option<Timestamp>,
    /// Maximum number of results
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Words to search for
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
}

/// Show the number of conversations and messages
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Hold all pending deliveries until `parlance release`
///
/// Applies to the messages of all owners. Messages that are sent later are delivered as usual.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Release the deliveries that are held
///
/// Applies to the messages of all owners that `parlance hold` or a restore of the database has held. After a restore,
/// first cancel the messages that were sent before it.
#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Watch events until Ctrl-C
///
/// After a lost connection, it reconnects and continues after the last event.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only events of this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Only events of conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Start after this cursor; 0 starts with the oldest stored event [default: now]
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Demonstrate the cache: latency of reads with and without it, before and after a change
///
/// Creates a chat with one message, reads and changes both, and deletes them.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) caller: Caller,
}
