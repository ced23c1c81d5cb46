//! `parlance serve`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use parlance_server::config::Settings;
use parlance_server::drain::{self, DrainOutcome};
use parlance_server::{telemetry, wiring};
use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;
use crate::output::Output;
use crate::{banner, config};

/// What still runs on threads that cannot be interrupted, such as a statement on a file, gets this long.
const LAST_MOMENT: Duration = Duration::from_millis(500);

pub(crate) fn run(
    settings: &Settings,
    ports_json: bool,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let runtime = runtime(settings)?;
    let ending = runtime.block_on(serve(settings, ports_json, output));
    match ending {
        Ok(DrainOutcome::Forced) => runtime.shutdown_background(),
        Ok(DrainOutcome::Finished | DrainOutcome::Cut) | Err(_) => {
            runtime.shutdown_timeout(LAST_MOMENT)
        }
    }
    Ok(match ending? {
        DrainOutcome::Finished | DrainOutcome::Cut => ExitCode::SUCCESS,
        DrainOutcome::Forced => ExitCode::from(3),
    })
}

/// `--ephemeral`: nothing stays of it, unless it is killed.
pub(crate) fn ephemeral(file: Option<PathBuf>, output: &mut Output) -> Result<ExitCode, Failure> {
    // Gone when this returns, and no sooner: the database is closed by then.
    let folder = tempfile::Builder::new().prefix("parlance-").tempdir()?;
    let settings = config::load_ephemeral(file, folder.path())?;
    run(&settings, true, output)
}

fn runtime(settings: &Settings) -> Result<Runtime, std::io::Error> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = settings.worker_threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().thread_name("parlance").build()
}

async fn serve(
    settings: &Settings,
    ports_json: bool,
    output: &mut Output,
) -> Result<DrainOutcome, Failure> {
    let telemetry = telemetry::init(settings)?;
    // Before anything that may take time: a signal during the start must not kill without a word.
    let mut signals = drain::signals()?;
    let started = tokio::select! {
        started = wiring::start(settings) => started,
        _ = signals.recv() => {
            tracing::info!("stopped before it served");
            telemetry.shutdown().await;
            return Ok(DrainOutcome::Finished);
        }
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            telemetry.shutdown().await;
            return Err(error.into());
        }
    };
    if ports_json {
        output.line(banner::ports(running.grpc, running.http));
    } else {
        let exe = std::env::current_exe().ok();
        let program = banner::program(std::env::args_os().next(), exe.as_deref());
        output.line(banner::text(
            running.grpc,
            running.http,
            running.cache(),
            &program,
        ));
    }
    let ending = running.until_stopped(signals).await;
    if ending != DrainOutcome::Forced {
        telemetry.shutdown().await;
    }
    Ok(ending)
}
