//! The commands that bring conversations and take them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::client::Caller;
use super::values::{self, ChannelName};
use crate::sessions::Format;

/// Import old conversations into a running service: the sessions of old, or what `parlance export` wrote.
///
/// A session is JSON: `session_id`, `messages` with `role` and `content`, and perhaps `context`, `user`, `title`,
/// `created_at`, of each message `created_at`, `tokens_used`, `latency_ms` and `metadata`. What is there already is passed
/// over, so the command can be repeated, after a crash, too. Nothing is sent.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What to do about a session that is wrong
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_error: OnError,
    /// How the sessions stand in the file
    #[arg(long, default_value = "auto")]
    pub(crate) format: Format,
    /// Your customer or agent, whom sessions without one belong to
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// The file; `-` for what comes in
    pub(crate) file: PathBuf,
}

/// What to do about a session that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Name it and end
    Stop,
    /// Name it and go on
    Skip,
}

/// Write all conversations as JSON, one to a line, for `parlance import`.
///
/// Whole as long as nobody writes meanwhile. Attachments whose content the service has are left out.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only conversations of this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only conversations of this channel
    #[arg(long)]
    pub(crate) channel: Option<ChannelName>,
    /// The file to write, which is there when it is whole and which you alone may read; the standard output without it
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) caller: Caller,
}

/// Make conversations to look at: of a shop with its customers, by chat, SMS and mail, over half a year.
///
/// The same numbers make the same conversations, so the command can be repeated. Nothing is sent.
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// How many messages
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: u64,
    /// Another number makes other conversations
    #[arg(long = "seed", value_name = "NUMBER", default_value_t = 1)]
    pub(crate) number: u64,
    /// When the last of them was active
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z", value_parser = values::time)]
    pub(crate) until: Timestamp,
    #[command(flatten)]
    pub(crate) caller: Caller,
}
