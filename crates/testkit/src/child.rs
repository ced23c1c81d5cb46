//! Child processes: started so that they cannot outlive this process; their output and their end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::scratch::{UNPRIVILEGED_UID, uid};
use crate::signal;
use crate::wait::poll;

/// Number of log lines shown in a failure.
const TAIL: usize = 40;

type Job = Box<dyn FnOnce() + Send>;

/// Spawns children from a thread that lives as long as the process. The kernel sends the death signal when the THREAD
/// that spawned the child ends, and a test's thread ends with the test.
static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("testkit-spawner".to_owned())
        .spawn(move || queue.into_iter().for_each(|job| job()))
        .expect("the spawner thread starts");
    jobs
});

fn spawn_from_permanent_thread(mut command: Command) -> io::Result<Child> {
    let (reply, response) = mpsc::channel();
    SPAWNER
        .send(Box::new(move || {
            let _ = reply.send(command.spawn());
        }))
        .expect("the spawner runs as long as the process");
    response.recv().expect("the spawner replies to every job")
}

/// How to start a child.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// Its whole environment besides PATH: a developer's `PGDATA` or `DATABASE_URL` must not reach it.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Working directory; its output is written there too.
    pub(crate) dir: PathBuf,
    /// Signal that it receives when this process dies.
    pub(crate) death_signal: &'static str,
    /// Whether it runs as an unprivileged user if this process runs as root.
    pub(crate) unprivileged: bool,
}

impl Launch {
    pub(crate) fn spawn(&self) -> Process {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", self.death_signal]);
        if self.unprivileged && uid() == 0 {
            command.arg(format!("--reuid={UNPRIVILEGED_UID}"));
            command.arg(format!("--regid={UNPRIVILEGED_UID}"));
            command.arg("--clear-groups");
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command.env_clear().envs(self.env.iter().cloned());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let stdout = Output::open(self.dir.join("stdout"));
        let stderr = Output::open(self.dir.join("stderr"));
        command
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(stdout.file())
            .stderr(stderr.file());
        let child = spawn_from_permanent_thread(command).unwrap_or_else(|e| {
            panic!(
                "{} was not started through setpriv (util-linux): {e}",
                self.program.display()
            )
        });
        Process {
            pid: child.id(),
            child: Mutex::new(child),
            stdout,
            stderr,
        }
    }
}

/// Output stream of a child, written to a file, so that the child never blocks on a full pipe.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    /// Where this child's output begins; output of an earlier child in the same directory precedes it.
    start: usize,
}

impl Output {
    fn open(path: PathBuf) -> Self {
        let start = fs::read(&path).map_or(0, |written| written.len());
        Self { path, start }
    }

    fn file(&self) -> File {
        File::options()
            .append(true)
            .create(true)
            .open(&self.path)
            .expect("an output file opens")
    }

    pub(crate) fn text(&self) -> String {
        let written = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(written.get(self.start..).unwrap_or_default()).into_owned()
    }
}

/// A running or ended child; killed on drop.
#[derive(Debug)]
pub(crate) struct Process {
    child: Mutex<Child>,
    pid: u32,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

impl Process {
    /// Returns the program's pid: `setpriv` replaces itself by the program.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        self.child()
            .try_wait()
            .expect("the status of a child is available")
    }

    pub(crate) fn wait(&self, within: Duration) -> Option<ExitStatus> {
        poll(within, || self.exited())
    }

    /// Signals the process alone. The pid cannot be reused before its exit status is collected.
    pub(crate) fn signal(&self, name: &str) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            signal::send(name, &[self.pid]);
        }
    }

    /// Kills the process and its children, and returns when they have ended.
    pub(crate) fn kill9(&self) {
        if self.exited().is_some() {
            return;
        }
        if signal::children(self.pid).is_empty() {
            self.child().kill().expect("a child can be killed");
        } else {
            signal::kill_tree(self.pid);
        }
        self.child()
            .wait()
            .expect("a killed child can be waited for");
    }

    pub(crate) fn pause(&self) {
        if self.exited().is_none() {
            signal::stop_tree(self.pid);
        }
    }

    pub(crate) fn resume(&self) {
        if self.exited().is_none() {
            signal::continue_tree(self.pid);
        }
    }

    /// Returns the last lines of both outputs.
    pub(crate) fn tail(&self) -> String {
        let text = self.stdout.text() + &self.stderr.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}
