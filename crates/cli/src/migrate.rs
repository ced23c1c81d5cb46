//! `parlance migrate`.

use std::process::ExitCode;

use parlance_server::config::Settings;
use parlance_server::{telemetry, wiring};

use crate::failure::Failure;
use crate::output::Output;

/// Exit code of a dry run that found missing migrations.
const MISSING: u8 = 3;

pub(crate) fn run(
    settings: &Settings,
    dry_run: bool,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let telemetry = telemetry::init(settings)?;
        let report = wiring::migrate(settings, dry_run).await;
        telemetry.shutdown().await;
        Ok::<_, Failure>(report?)
    })?;
    let missing = !report.is_empty();
    if !missing {
        output.line("the database is up to date");
    }
    let verb = if dry_run { "missing" } else { "applied" };
    for migration in report.migrations {
        output.line(format_args!("{verb} {migration}"));
    }
    if let Some(messages) = report.indexed {
        let language = settings.search_language;
        let verb = if dry_run { "missing" } else { "built" };
        output.line(format_args!(
            "{verb} search index for {language}: {messages} messages"
        ));
    }
    if dry_run && missing {
        output.line("run `parlance migrate` to apply them");
        return Ok(ExitCode::from(MISSING));
    }
    Ok(ExitCode::SUCCESS)
}
