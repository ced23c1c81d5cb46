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

/// Time-out for threads that cannot be interrupted, for example in a statement on a file.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

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
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        }
    }
    Ok(match ending? {
        DrainOutcome::Finished | DrainOutcome::Cut => ExitCode::SUCCESS,
        DrainOutcome::Forced => ExitCode::from(3),
    })
}

/// `--ephemeral`: deletes all data at exit, unless the process is killed.
pub(crate) fn ephemeral(file: Option<PathBuf>, output: &mut Output) -> Result<ExitCode, Failure> {
    // Deleted when this function returns: the database is closed by then.
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
    // Installed before anything that may take time, so that a signal during the start ends the process cleanly.
    let mut signals = drain::signals()?;
    let started = tokio::select! {
        started = wiring::start(settings) => started,
        _ = signals.recv() => {
            tracing::info!("stopped by a signal before the start was complete");
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
            &running.real_providers,
            &program,
        ));
    }
    let ending = running.until_stopped(signals).await;
    if ending != DrainOutcome::Forced {
        telemetry.shutdown().await;
    }
    Ok(ending)
}
