//! Arguments of `simulate`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Run a simulator of Twilio's HTTP API until SIGTERM or SIGINT, for applications under test
///
/// It accepts messages, reports their status to their `StatusCallback`, and posts messages of customers to
/// `--inbound-url`, all signed with the token. No message leaves this machine. Point an application at it with
/// `TWILIO_BASE_URL`. Faults, the clock, replies and webhooks are controlled by JSON:
/// `POST /parlance.v1.SimulatorService/<Method>` at the same address.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// URL that messages of customers are posted to; without it there are none
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) inbound_url: String,
    /// Account SID: the user name of the API [default: `ACsimulator`]
    #[arg(long, value_name = "SID", env = "TWILIO_ACCOUNT_SID")]
    pub(crate) account: Option<String>,
    /// Auth token: the password of the API, and the key of signatures [default: `simulator`]
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TWILIO_AUTH_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// Script of faults: JSON in the form of `SetScriptRequest`
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Random seed of ids: the same seed and the same requests give the same ids [default: random]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Print the listen address as one line of JSON instead of the banner
    #[arg(long)]
    pub(crate) ports_json: bool,
}
