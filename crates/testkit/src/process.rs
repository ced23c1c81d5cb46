//! The `parlance` binary as a child process, for black-box tests.

mod builder;

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use serde::Deserialize;

pub use builder::Builder;

use crate::child::Process;
use crate::scratch::Scratch;

/// A running service; killed on drop.
#[derive(Debug)]
pub struct Parlance {
    /// Address of the gRPC listener.
    pub grpc_addr: SocketAddr,
    /// Address of the HTTP listener: webhooks, metrics, health.
    pub http_addr: SocketAddr,
    /// Process id.
    pub pid: u32,
    // Dropped before the directory that it runs in.
    process: Process,
    _scratch: Scratch,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Line that the service prints when it listens.
#[derive(Debug, Deserialize)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Parlance {
    /// Returns the path of the program that [`builder`](Self::builder) starts.
    pub fn program() -> std::path::PathBuf {
        builder::find_binary()
    }

    /// Returns a builder that starts a service.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Returns `http://127.0.0.1:port` of the gRPC listener.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc_addr)
    }

    /// Returns `http://127.0.0.1:port` of the HTTP listener.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http_addr)
    }

    /// Kills the service and returns when it has ended.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Requests a graceful shutdown (SIGTERM); see [`wait`](Self::wait).
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Freezes the service: connections stay open but do not respond.
    pub fn stop(&self) {
        self.process.pause();
    }

    /// Ends a [`stop`](Self::stop).
    pub fn cont(&self) {
        self.process.resume();
    }

    /// Waits until the service has ended. Panics with the end of its log if it has not within the time.
    pub async fn wait(&self, within: Duration) -> ExitStatus {
        ended(&self.process, within).await
    }

    /// Returns the exit status if the service has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Returns the log so far.
    pub fn logs(&self) -> String {
        self.process.stderr.text()
    }
}

async fn ended(process: &Process, within: Duration) -> ExitStatus {
    let ending = crate::eventually(Duration::MAX, async || process.exited());
    tokio::time::timeout(within, ending)
        .await
        .unwrap_or_else(|_| {
            panic!(
                "process {} did not end within {within:?}:\n{}",
                process.pid(),
                process.tail()
            )
        })
}
