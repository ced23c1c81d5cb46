//! Arguments of the commands that import, export and generate conversations.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::client::Caller;
use super::values::{self, ChannelName};
use crate::sessions::Format;

/// Import conversations from a file: chat sessions, or the output of `parlance export`
///
/// A session is a JSON object with `session_id` and `messages`, each with `role` and `content`. Optional fields are
/// `context`, `user`, `title`, `created_at` and `status` (active, archived or closed), and for each message `created_at`,
/// `tokens_used`, `latency_ms`, `metadata` and `status` (delivered or read). A session of another channel than chat has
/// `channel` (sms or email), `participant_from` and `participant_to`; its messages have `direction` (inbound or outbound)
/// instead of `role`, and may have `status` (received, sent, delivered, read, undelivered, failed, expired or canceled),
/// `channel` (mms), `subject`, `html_body`, `quoted_body` and the other fields that an export writes. Messages that exist already are skipped, so the command can be repeated, for example after a crash.
/// Nothing is sent.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Handling of invalid sessions
    #[arg(long, value_name = "ACTION", default_value = "stop")]
    pub(crate) on_error: OnError,
    /// Layout of the sessions in the file
    #[arg(long, default_value = "auto")]
    pub(crate) format: Format,
    /// User of sessions that have none
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Input file; reads from stdin when `-`
    pub(crate) file: PathBuf,
}

/// Handling of invalid sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Report the session and stop
    Stop,
    /// Report the session and continue
    Skip,
}

/// Export conversations as JSON, one per line, for `parlance import`
///
/// The export is a consistent snapshot only if nothing is written meanwhile. Attachments with content in the service,
/// and messages that are still to be sent, are omitted.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only conversations of this channel
    #[arg(long)]
    pub(crate) channel: Option<ChannelName>,
    /// Output file, written atomically and readable by its owner only [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Generate sample conversations
///
/// Creates conversations of a shop with its customers, by chat, SMS and email, over half a year. The same arguments
/// generate the same conversations, so the command can be repeated. Nothing is sent.
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// Number of messages
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: u64,
    /// Random seed
    #[arg(long = "seed", value_name = "NUMBER", default_value_t = 1)]
    pub(crate) number: u64,
    /// Time of the last activity
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z", value_parser = values::time)]
    pub(crate) until: Timestamp,
    #[command(flatten)]
    pub(crate) caller: Caller,
}
