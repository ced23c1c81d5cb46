//! `parlance simulate`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use parlance_server::drain::{self, DrainOutcome};
use parlance_server::simulate::{self, Clock, Configuration};
use parlance_server::telemetry;
use tokio::runtime::Builder;

use crate::arguments::Simulate;
use crate::failure::Failure;
use crate::output::Output;
use crate::{banner, config};

const DEFAULT_ACCOUNT: &str = "ACsimulator";
const DEFAULT_TOKEN: &str = "simulator";
/// Maximum size of a script.
const MAX_SCRIPT_BYTES: usize = 1024 * 1024;
/// Time-out for threads that cannot be interrupted, for example in a look-up of a host name.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) fn run(arguments: Simulate, output: &mut Output) -> Result<ExitCode, Failure> {
    let Simulate {
        listen,
        inbound_url,
        account,
        token,
        script,
        seed,
        ports_json,
    } = arguments;
    // Compose files and systemd units pass unset variables as empty texts.
    let or = |text: Option<String>, default: &str| {
        text.filter(|text| !text.is_empty())
            .unwrap_or_else(|| default.to_owned())
    };
    let configuration = Configuration {
        listen,
        inbound_url,
        account: or(account, DEFAULT_ACCOUNT),
        token: or(token, DEFAULT_TOKEN),
        script: script.as_deref().map(read).transpose()?,
        seed,
        clock: Clock::System,
    };
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("parlance")
        .build()?;
    let ending = runtime.block_on(simulate(configuration, ports_json, output));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    Ok(match ending? {
        DrainOutcome::Finished | DrainOutcome::Cut => ExitCode::SUCCESS,
        DrainOutcome::Forced => ExitCode::from(3),
    })
}

async fn simulate(
    configuration: Configuration,
    ports_json: bool,
    output: &mut Output,
) -> Result<DrainOutcome, Failure> {
    let telemetry = telemetry::init(&config::load_logging()?)?;
    // Installed before the start, so that a signal during it ends the process cleanly.
    let signals = drain::signals()?;
    let account = configuration.account.clone();
    let ending = match simulate::start(configuration) {
        Ok(running) => {
            if ports_json {
                output.line(banner::port(running.address));
            } else {
                output.line(banner::simulator(running.address, &account));
            }
            Ok(running.until_stopped(signals).await)
        }
        Err(error) => Err(error.into()),
    };
    telemetry.shutdown().await;
    ending
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |source| Failure::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    if text.len() > MAX_SCRIPT_BYTES {
        let reason = format!("a script has at most {MAX_SCRIPT_BYTES} bytes");
        let error = std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason);
        return Err(unreadable(error));
    }
    Ok(text)
}
