//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    },
    /// Bring the database up to date
    Migrate {
        #[command(flatten)]
        config: ConfigFile,
        /// Only name what is missing
        #[arg(long)]
        dry_run: bool,
    },
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
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
}
