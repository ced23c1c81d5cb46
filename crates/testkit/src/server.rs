//! What the throw-away servers have in common: a directory, a port that they keep, and a life that tests can end.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::child::{Launch, Process};
use crate::ports::free_port;
use crate::scratch::{Scratch, uid};
use crate::wait::poll;

const START: Duration = Duration::from_mins(3);
const STOP: Duration = Duration::from_secs(10);
const PORT_TAKEN: &str = "address already in use";

/// How one kind of server lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) kind: &'static str,
    /// What it gets when it is to end in good order.
    pub(crate) stop_signal: &'static str,
    /// What it gets when nobody cares for its data any more.
    pub(crate) discard_signal: &'static str,
    /// Whether this process, and not another server on the same port, takes connections.
    pub(crate) ready: fn(&Path, &Process) -> bool,
}

/// A server of our own. It ends and its directory goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    // Before the directory, which must not go first.
    process: Mutex<Process>,
    launch: Launch,
    habits: Habits,
    pub(crate) port: u16,
    scratch: Scratch,
}

impl Server {
    /// Prepares a directory and starts the server in it, on another port if somebody was quicker.
    pub(crate) fn start(
        habits: Habits,
        prepare: impl FnOnce(&Path),
        launch: impl Fn(&Path, u16) -> Launch,
    ) -> Self {
        let scratch = Scratch::new(habits.kind);
        if uid() == 0 {
            scratch.give_to_nobody();
        }
        prepare(scratch.path());
        let started = poll(START, || {
            let port = free_port();
            let launch = launch(scratch.path(), port);
            Some((run(habits, &launch)?, launch, port))
        });
        let (process, launch, port) =
            started.unwrap_or_else(|| panic!("{} found no free port", habits.kind));
        Self {
            process: Mutex::new(process),
            launch,
            habits,
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

    /// Starts the server again in the same place, after ending it in good order if it still runs. Waiting is done
    /// elsewhere: the caller's load on the runtime goes on meanwhile.
    pub(crate) async fn restart(self: Arc<Self>) {
        let restart = tokio::task::spawn_blocking(move || {
            let mut process = self.process();
            end(&process, self.habits.stop_signal);
            *process = poll(START, || run(self.habits, &self.launch)).unwrap_or_else(|| {
                panic!(
                    "{} did not get its port {} back",
                    self.habits.kind, self.port
                )
            });
        });
        restart.await.expect("the server restarts");
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&self.process(), self.habits.discard_signal);
    }
}

/// `None` when the port was taken by somebody else.
fn run(habits: Habits, launch: &Launch) -> Option<Process> {
    let process = launch.spawn();
    let settled = poll(START, || {
        if let Some(status) = process.exited() {
            return Some(Err(status));
        }
        (habits.ready)(&launch.dir, &process).then_some(Ok(()))
    });
    match settled {
        Some(Ok(())) => Some(process),
        Some(Err(_)) if process.tail().to_lowercase().contains(PORT_TAKEN) => None,
        Some(Err(status)) => {
            panic!(
                "{} ended at once ({status}):\n{}",
                habits.kind,
                process.tail()
            )
        }
        None => panic!(
            "{} was not ready after {START:?}:\n{}",
            habits.kind,
            process.tail()
        ),
    }
}

fn end(process: &Process, signal: &str) {
    process.signal(signal);
    // A paused one hears nothing until it goes on.
    process.resume();
    if process.wait(STOP).is_none() {
        process.kill9();
    }
}
