//! Why a command did not do what it should.

use std::path::PathBuf;
use std::process::ExitCode;

use parlance_server::config::Wrong;
use parlance_server::telemetry::TelemetryError;
use parlance_server::wiring::StartError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Configuration(#[from] Wrong),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the system refuses what is needed to run: {0}")]
    System(#[from] std::io::Error),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Unreadable { .. } | Self::Configuration(_) => ExitCode::from(2),
            Self::Telemetry(_) | Self::Start(_) | Self::System(_) => ExitCode::FAILURE,
        }
    }
}
