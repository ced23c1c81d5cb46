//! Command-line arguments.

mod client;
mod simulate;
mod transfer;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use client::{
    Caller, Demo, Get, Hold, List, Release, Reply, Search, Send, Stats, Watch,
};
pub(crate) use simulate::Simulate;
pub(crate) use transfer::{Export, Import, OnError, Seed};

/// Messaging service for SMS, MMS, email and chat behind one gRPC API
#[derive(Debug, Parser)]
#[command(name = "parlance", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file [default: `parlance.toml` in the current directory, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service until SIGTERM or SIGINT
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// Print the listen addresses as one line of JSON instead of the banner
        #[arg(long)]
        ports_json: bool,
        /// Use a temporary database and free ports of 127.0.0.1, for tests; implies `--ports-json`
        ///
        /// The database is deleted at exit. All settings apply except `DATABASE_URL`, `MIGRATE`, `GRPC_LISTEN`,
        /// `HTTP_LISTEN` and `DRAIN_DELAY`.
        #[arg(long)]
        ephemeral: bool,
    },
    /// Apply missing database migrations
    Migrate {
        #[command(flatten)]
        config: ConfigFile,
        /// List missing migrations without applying them; exit code 3 if any are missing
        #[arg(long)]
        dry_run: bool,
    },
    /// Inspect the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    // The help texts of these commands are longer, and are defined with their arguments.
    Simulate(Simulate),
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
    /// Print the effective settings and their sources
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print all settings as a Markdown table
    #[command(hide = true)]
    Docs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// `--from` is the customer's address there, which is the `to_address` of the contract.
    #[test]
    fn the_addresses_of_a_reply_are_explained() {
        let mut command = Arguments::command();
        let reply = command.find_subcommand_mut("reply").unwrap();
        let help = reply.render_long_help().to_string();
        assert!(
            help.contains("`--from` is the customer's address"),
            "{help}"
        );
    }

    #[test]
    fn a_message_has_exactly_one_target() {
        let parsed = |line: &str| Arguments::try_parse_from(line.split(' ')).is_ok();
        for valid in [
            "parlance send --from +1 --to +2 text",
            "parlance send --conversation 7 text",
            "parlance send --chat s1 --role assistant text",
            "parlance list --unread --status archived",
            "parlance list 7 --limit 3",
            "parlance search",
            "parlance search two words --channel mms --status failed --direction inbound",
            "parlance import sessions.json --owner acme --on-error skip",
            "parlance import - --format lines",
            "parlance simulate --listen 127.0.0.1:0 --inbound-url http://h/in --account AC1 --token t --seed 7",
            "parlance export --user ana -o all.jsonl",
            "parlance seed --messages 1000 --seed 7",
            "parlance search --after 2026-01-31T09:00:00Z -- --a-dash",
        ] {
            assert!(parsed(valid), "{valid}");
        }
        for invalid in [
            "parlance send text",
            "parlance send --to +2 text",
            "parlance send --from +1 --to +2 --chat s1 text",
            "parlance send --from +1 --to +2 --role user text",
            "parlance send --conversation 7 --user ana text",
            "parlance send --from +1 --to +2",
            "parlance list 7 --unread",
            "parlance list --limit 0",
            "parlance simulate --listen nowhere",
            "parlance search --status archived",
            "parlance import",
            "parlance seed --messages 0",
        ] {
            assert!(!parsed(invalid), "{invalid}");
        }
    }
}
