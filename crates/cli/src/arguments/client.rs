//! The commands that speak to a running service.

use clap::Args;
use prost_types::Timestamp;

use super::values::{
    self, ChannelName, DEFAULT_SERVER, DirectionName, MessageChannelName, MessageStatusName,
    RoleName, Server, StatusName,
};

/// Which service, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Caller {
    /// Where the service serves gRPC
    #[arg(long, value_name = "URL", env = "PARLANCE_SERVER", default_value = DEFAULT_SERVER, value_parser = values::server)]
    pub(crate) server: Server,
    /// Whose conversations (`x-parlance-owner`); `default` without it
    #[arg(long, value_name = "OWNER", value_parser = values::owner)]
    pub(crate) owner: Option<values::Owner>,
    /// Print one JSON object per line, by the protobuf JSON mapping
    #[arg(long)]
    pub(crate) json: bool,
}

/// Send a message by a running service.
///
/// To an address: `--from` yours `--to` theirs; mail if theirs is a mail address, else SMS. Into a conversation:
/// `--conversation`. As chat: `--chat`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["to", "conversation", "chat"]))]
pub(crate) struct Send {
    /// Your address: a number such as +15550001111, or a mail address
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    pub(crate) from: Option<String>,
    /// Their address, of the same kind
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    pub(crate) to: Option<String>,
    /// The conversation to send in
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// The chat to speak in, by your own name for it; made at first use
    #[arg(long, value_name = "EXTERNAL_ID")]
    pub(crate) chat: Option<String>,
    /// Who speaks in the chat; the user without it
    #[arg(long, conflicts_with = "to")]
    pub(crate) role: Option<RoleName>,
    /// Your customer or agent, whom a conversation that is opened belongs to
    #[arg(long, value_name = "USER", conflicts_with = "conversation")]
    pub(crate) user: Option<String>,
    /// Subject line of a mail
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// When to send it, such as 2026-01-31T09:00:00Z; at once without it
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) at: Option<Timestamp>,
    /// Makes it safe to repeat: under one id there is one message
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Stay until it is known what became of it, and print each step; the code is 1 unless it was delivered
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// What to say
    pub(crate) text: String,
}

/// Answer as the customer, where the simulator carries the messages.
///
/// You speak as the customer, so `--from` is the customer's address (the RPC's `to_address`: where your message went to),
/// and `--to` is yours (the RPC's `from_address`).
#[derive(Debug, Args)]
pub(crate) struct Reply {
    /// The customer's address, who speaks
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: String,
    /// Your address, which hears it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: String,
    /// Subject line of a mail
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// What to say
    pub(crate) text: String,
}

/// Show a message with its story, or a conversation, whichever has the id.
///
/// With `--json` the story of a message is a second line.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Id of a message or a conversation
    pub(crate) id: String,
}

/// List conversations, newest first, or the last messages of one, oldest first.
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
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// The conversation whose messages to list
    #[arg(value_name = "CONVERSATION_ID", conflicts_with_all = ["user", "unread", "channel", "status"])]
    pub(crate) conversation: Option<String>,
}

/// Find messages by their words, the best first; without words the newest first.
///
/// All words must occur, in the body, the subject or the title of the conversation. Nothing in them has a meaning: quotes and
/// signs only tell words apart.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Only messages of this user's conversations
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only messages of this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Only messages of this channel
    #[arg(long)]
    pub(crate) channel: Option<MessageChannelName>,
    /// Only messages that went this way
    #[arg(long)]
    pub(crate) direction: Option<DirectionName>,
    /// Only messages with this status
    #[arg(long)]
    pub(crate) status: Option<MessageStatusName>,
    /// Only messages of this time or later, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) after: Option<Timestamp>,
    /// Only messages from before this time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) before: Option<Timestamp>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// The words
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
}

/// Count conversations and messages.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Only those of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Hold every message that waits for delivery, until `parlance release`.
///
/// Messages of all owners; what is sent later is handed over as always.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Release the messages that are held, by `parlance hold` or after the database was restored.
///
/// Messages of all owners. Cancel those first that have left before the restore.
#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Show what happens, as it happens, until Ctrl-C.
///
/// When the connection is lost it goes on by itself where it was.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// First what happened after this cursor; 0: all that is kept; without it only what happens from now on
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Show the cache at work: what a read costs before and after it, and after a change.
///
/// Makes a chat of one message, reads it and its conversation, changes both, and deletes them.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) caller: Caller,
}
