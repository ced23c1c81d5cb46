//! Common parts of the throw-away servers: a directory, a fixed port, and control over the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::child::{Launch, Process};
use crate::ports::free_port;
use crate::scratch::{Scratch, uid};
use crate::wait::poll;

const START: Duration = Duration::from_mins(3);
const STOP: Duration = Duration::from_secs(10);
const PORT_TAKEN: &str = "address already in use";

/// Properties of one kind of server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerKind {
    pub(crate) name: &'static str,
    /// Signal for a clean shutdown.
    pub(crate) stop_signal: &'static str,
    /// Signal for an end without keeping data.
    pub(crate) discard_signal: &'static str,
    /// Whether this process accepts connections, and not another server on the same port.
    pub(crate) ready: fn(&Path, &Process) -> bool,
}

/// A server of this process. On drop it ends and its directory is removed.
#[derive(Debug)]
pub(crate) struct Server {
    // Dropped before the directory.
    process: Mutex<Process>,
    launch: Launch,
    kind: ServerKind,
    pub(crate) port: u16,
    scratch: Scratch,
}

impl Server {
    /// Prepares a directory and starts the server in it, with another port if the first is taken.
    pub(crate) fn start(
        kind: ServerKind,
        prepare: impl FnOnce(&Path),
        launch: impl Fn(&Path, u16) -> Launch,
    ) -> Self {
        let scratch = Scratch::new(kind.name);
        if uid() == 0 {
            scratch.give_to_unprivileged();
        }
        prepare(scratch.path());
        let started = poll(START, || {
            let port = free_port();
            let launch = launch(scratch.path(), port);
            Some((run(kind, &launch)?, launch, port))
        });
        let (process, launch, port) =
            started.unwrap_or_else(|| panic!("{} found no free port", kind.name));
        Self {
            process: Mutex::new(process),
            launch,
            kind,
            port,
            scratch,
        }
    }

    pub(crate) fn kill9(&self) {
        self.process().kill9();
    }

    pub(crate) fn pause(&self) {
        self.process().pause();
    }

    pub(crate) fn resume(&self) {
        self.process().resume();
    }

    pub(crate) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Starts the server again on the same port, after a clean shutdown if it is running. The wait happens on a
    /// blocking thread, so that the caller's load on the runtime continues.
    pub(crate) async fn restart(self: Arc<Self>) {
        let restart = tokio::task::spawn_blocking(move || {
            let mut process = self.process();
            end(&process, self.kind.stop_signal);
            *process = poll(START, || run(self.kind, &self.launch)).unwrap_or_else(|| {
                panic!("{} did not get its port {} back", self.kind.name, self.port)
            });
        });
        restart.await.expect("the server restarts");
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&self.process(), self.kind.discard_signal);
    }
}

/// Starts the server; `None` if its port was taken.
fn run(kind: ServerKind, launch: &Launch) -> Option<Process> {
    let process = launch.spawn();
    let ready = poll(START, || {
        if let Some(status) = process.exited() {
            return Some(Err(status));
        }
        (kind.ready)(&launch.dir, &process).then_some(Ok(()))
    });
    match ready {
        Some(Ok(())) => Some(process),
        Some(Err(_)) if process.tail().to_lowercase().contains(PORT_TAKEN) => None,
        Some(Err(status)) => {
            panic!(
                "{} ended at once ({status}):\n{}",
                kind.name,
                process.tail()
            )
        }
        None => panic!(
            "{} was not ready after {START:?}:\n{}",
            kind.name,
            process.tail()
        ),
    }
}

fn end(process: &Process, signal: &str) {
    process.signal(signal);
    // A paused process receives the signal only after it is resumed.
    process.resume();
    if process.wait(STOP).is_none() {
        process.kill9();
    }
}
