//! Errors of commands and their exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use parlance_server::config::InvalidSettings;
use parlance_server::simulate::SimulateError;
use parlance_server::telemetry::TelemetryError;
use parlance_server::wiring::StartError;
use tonic::Status;

use crate::refusal;
use crate::sessions::Position;

/// Exit code that shells report for a command that SIGINT ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{position}: {reason}\nthe import stopped here; correct the session, or skip invalid sessions with --on-error skip"
    )]
    SessionRejected { position: Position, reason: String },
    #[error(
        "{}\nthe import is incomplete; run the same command again to import the rest",
        refusal::text(.0)
    )]
    ImportInterrupted(Box<Status>),
    #[error(transparent)]
    Configuration(#[from] InvalidSettings),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
    #[error("interrupted; {} was not written", path.display())]
    Interrupted { path: PathBuf },
    #[error("operating system error: {0}")]
    System(#[from] std::io::Error),
    #[error(
        "cannot connect to {server}: connection refused; start a service with `parlance serve`, or check --server"
    )]
    NoService { server: String },
    #[error(
        "cannot connect to {server}: {reason}; check that --server is the gRPC address of the service"
    )]
    Unreachable { server: String, reason: String },
    #[error("{}", refusal::text(.0))]
    Refused(#[from] Status),
    #[error(
        "no message or conversation has the id {id}; if it belongs to another owner, set --owner"
    )]
    NotFound { id: String },
    #[error("{0}")]
    NotDelivered(String),
    #[error(
        "the cache of this service is off{}; start the service with CACHE_BACKEND=memory or with REDIS_URL",
        if .0.is_empty() { String::new() } else { format!(" ({})", .0) }
    )]
    CacheOff(String),
    #[error(
        "no read was answered from the cache; `curl .../parlance.v1.CacheService/GetCacheInfo` shows the reason"
    )]
    NotCached,
    #[error("cannot print a reply as JSON: {0}")]
    Json(String),
    #[error("the sample texts of this program are invalid: {0}")]
    SampleTexts(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Unreadable { .. }
            | Self::Configuration(_)
            | Self::Simulate(SimulateError::Script(_) | SimulateError::InboundUrl(_)) => {
                ExitCode::from(2)
            }
            Self::Interrupted { .. } => ExitCode::from(INTERRUPTED),
            Self::Unwritable { .. }
            | Self::SessionRejected { .. }
            | Self::ImportInterrupted(_)
            | Self::Telemetry(_)
            | Self::Start(_)
            | Self::Simulate(SimulateError::Start(_))
            | Self::System(_)
            | Self::Output(_)
            | Self::NoService { .. }
            | Self::Unreachable { .. }
            | Self::Refused(_)
            | Self::NotFound { .. }
            | Self::NotDelivered(_)
            | Self::CacheOff(_)
            | Self::NotCached
            | Self::Json(_)
            | Self::SampleTexts(_) => ExitCode::FAILURE,
        }
    }
}
