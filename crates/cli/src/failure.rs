//! Why a command did not do what it should.

use std::path::PathBuf;
use std::process::ExitCode;

use parlance_server::config::Wrong;
use parlance_server::telemetry::TelemetryError;
use parlance_server::wiring::StartError;
use tonic::Status;

use crate::client::refusal;
use crate::sessions::Place;

/// What shells report of a command that SIGINT ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{place}: {why}\nnothing after it was imported; correct it, or go on without it by --on-error skip"
    )]
    Stopped { place: Place, why: String },
    #[error(
        "{}\nwhat was imported until then stays; the same command once more brings the rest",
        refusal::text(.0)
    )]
    BrokenOff(Box<Status>),
    #[error(transparent)]
    Configuration(#[from] Wrong),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("standard output cannot be written: {0}")]
    Output(#[source] std::io::Error),
    #[error("interrupted; {} was not written", path.display())]
    Interrupted { path: PathBuf },
    #[error("the system refuses what is needed to run: {0}")]
    System(#[from] std::io::Error),
    #[error("no service at {server}: start one with `parlance serve`")]
    NoService { server: String },
    #[error("{server} cannot be reached: {why}; is --server the gRPC address of a service?")]
    Unreachable { server: String, why: String },
    #[error("{}", refusal::text(.0))]
    Refused(#[from] Status),
    #[error("no message or conversation has the id {id}; of another owner? see --owner")]
    NotFound { id: String },
    #[error("{0}")]
    NotDelivered(String),
    #[error(
        "the cache of this service is off: every read asks the database{}; start it with CACHE_BACKEND=memory, or with \
         REDIS_URL",
        if .0.is_empty() { String::new() } else { format!(" ({})", .0) }
    )]
    CacheOff(String),
    #[error(
        "the cache did not answer once; `curl .../parlance.v1.CacheService/GetCacheInfo` says why"
    )]
    NotCached,
    #[error("a reply cannot be shown as JSON: {0}")]
    Json(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Unreadable { .. } | Self::Configuration(_) => ExitCode::from(2),
            Self::Interrupted { .. } => ExitCode::from(INTERRUPTED),
            Self::Unwritable { .. }
            | Self::Stopped { .. }
            | Self::BrokenOff(_)
            | Self::Telemetry(_)
            | Self::Start(_)
            | Self::System(_)
            | Self::Output(_)
            | Self::NoService { .. }
            | Self::Unreachable { .. }
            | Self::Refused(_)
            | Self::NotFound { .. }
            | Self::NotDelivered(_)
            | Self::CacheOff(_)
            | Self::NotCached
            | Self::Json(_) => ExitCode::FAILURE,
        }
    }
}
