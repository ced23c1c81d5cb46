//! The `parlance` binary as a child, for black-box tests.

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
    /// Where it serves gRPC.
    pub grpc_addr: SocketAddr,
    /// Where it serves HTTP: webhooks, metrics, health.
    pub http_addr: SocketAddr,
    /// Its pid.
    pub pid: u32,
    // Before the directory it runs in.
    process: Process,
    _scratch: Scratch,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// The line that the service prints when it listens.
#[derive(Debug, Deserialize)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Parlance {
    /// The program that [`builder`](Self::builder) starts.
    pub fn program() -> std::path::PathBuf {
        builder::find_binary()
    }

    /// How to start one.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// `http://127.0.0.1:port` of the gRPC listener.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc_addr)
    }

    /// `http://127.0.0.1:port` of the HTTP listener.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http_addr)
    }

    /// Kills it and returns when it is gone.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Asks it to end in good order (SIGTERM); see [`wait`](Self::wait).
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn stop(&self) {
        self.process.pause();
    }

    /// Ends a [`stop`](Self::stop).
    pub fn cont(&self) {
        self.process.resume();
    }

    /// Waits until it has ended; panics with the end of its log when it has not within the time.
    pub async fn wait(&self, within: Duration) -> ExitStatus {
        ended(&self.process, within).await
    }

    /// Whether it has ended, and how.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// What it has logged so far.
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
