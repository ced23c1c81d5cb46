//! What may be typed.

mod client;
mod transfer;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use client::{
    Caller, Demo, Get, Hold, List, Release, Reply, Search, Send, Stats, Watch,
};
pub(crate) use transfer::{Export, Import, OnError, Seed};

/// A messaging service: SMS, MMS, email and chat behind one gRPC interface.
#[derive(Debug, Parser)]
#[command(name = "parlance", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; `parlance.toml` of this folder, if there is one, without it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service until SIGTERM or SIGINT
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// Print where it listens as one line of JSON, and nothing else
        #[arg(long)]
        ports_json: bool,
        /// For tests: keep everything in a temporary folder, which goes at the end, listen on free ports of 127.0.0.1, and
        /// print them as `--ports-json` does; every setting but `DATABASE_URL`, `MIGRATE` and the addresses still counts
        #[arg(long)]
        ephemeral: bool,
    },
    /// Bring the database up to date
    Migrate {
        #[command(flatten)]
        config: ConfigFile,
        /// Only name what is missing; exit code 3 if anything is
        #[arg(long)]
        dry_run: bool,
    },
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    // What these say of themselves is longer, and stands with their arguments.
    Send(Send),
    Reply(Reply),
    Get(Get),
    List(List),
    Search(Search),
    Stats(Stats),
    Watch(Watch),
    Hold(Hold),
    Release(Release),
    Import(Import),
    Export(Export),
    Seed(Seed),
    Demo(Demo),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what is in force and where it comes from
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print every setting as a Markdown table
    #[command(hide = true)]
    Docs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Arguments::command().debug_assert();
    }

    /// "From" is the customer there, who is the contract's `to_address`.
    #[test]
    fn the_addresses_of_a_reply_are_explained() {
        let mut command = Arguments::command();
        let reply = command.find_subcommand_mut("reply").unwrap();
        let help = reply.render_long_help().to_string();
        assert!(help.contains("You speak as the customer"), "{help}");
    }

    #[test]
    fn a_message_goes_to_one_place() {
        let parsed = |line: &str| Arguments::try_parse_from(line.split(' ')).is_ok();
        for right in [
            "parlance send --from +1 --to +2 text",
            "parlance send --conversation 7 text",
            "parlance send --chat s1 --role assistant text",
            "parlance list --unread --status archived",
            "parlance list 7 --limit 3",
            "parlance search",
            "parlance search two words --channel mms --status failed --direction inbound",
            "parlance import sessions.json --owner acme --on-error skip",
            "parlance import - --format lines",
            "parlance export --user ana -o all.jsonl",
            "parlance seed --messages 1000 --seed 7",
            "parlance search --after 2026-01-31T09:00:00Z -- --a-dash",
        ] {
            assert!(parsed(right), "{right}");
        }
        for wrong in [
            "parlance send text",
            "parlance send --to +2 text",
            "parlance send --from +1 --to +2 --chat s1 text",
            "parlance send --from +1 --to +2 --role user text",
            "parlance send --conversation 7 --user ana text",
            "parlance send --from +1 --to +2",
            "parlance list 7 --unread",
            "parlance list --limit 0",
            "parlance search --status archived",
            "parlance import",
            "parlance seed --messages 0",
        ] {
            assert!(!parsed(wrong), "{wrong}");
        }
    }
}
