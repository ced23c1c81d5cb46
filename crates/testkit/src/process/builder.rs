//! Starting the service and the client commands of the same binary.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Finished, Parlance, Ports, ended};
use crate::child::Launch;
use crate::scratch::Scratch;

/// Time limit for a debug build that runs migrations on a busy machine.
const START: Duration = Duration::from_mins(3);

/// Starts `parlance` in a clean environment: of the test's own it gets PATH, HOME and `RUST_LOG` only. A clone starts
/// the same service again.
#[derive(Debug, Clone)]
pub struct Builder {
    binary: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    args: Vec<OsString>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let ours = ["HOME", "RUST_LOG"].into_iter();
        let ours = ours.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        let ports = ["GRPC_LISTEN", "HTTP_LISTEN"].map(|name| (name.into(), "127.0.0.1:0".into()));
        // No load balancer needs time to notice the shutdown.
        let delay = ("DRAIN_DELAY".into(), "0".into());
        Self {
            binary: None,
            env: ours.chain(ports).chain([delay]).collect(),
            args: Vec::new(),
        }
    }

    /// Sets a variable; the last of several settings wins. The default of `GRPC_LISTEN` and `HTTP_LISTEN` is a free
    /// port of 127.0.0.1.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets `DATABASE_URL`.
    #[must_use]
    pub fn database_url(self, url: impl Into<OsString>) -> Self {
        self.env("DATABASE_URL", url)
    }

    /// Sets `REDIS_URL`.
    #[must_use]
    pub fn redis_url(self, url: impl Into<OsString>) -> Self {
        self.env("REDIS_URL", url)
    }

    /// Adds an argument of `serve`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets the program; the default is `PARLANCE_BIN` or the program of this build.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Starts the service and returns once it listens. Panics with the end of its log if it does not.
    pub async fn start(self) -> Parlance {
        let scratch = Scratch::new("parlance");
        let args = ["serve".into(), "--ports-json".into()]
            .into_iter()
            .chain(self.args.clone());
        let process = self.launch(&scratch, args.collect()).spawn();
        let listening = crate::eventually(Duration::MAX, async || {
            match (ports(&process.stdout.text()), process.exited()) {
                (Some(ports), _) => Some(Ok(ports)),
                (None, status) => status.map(Err),
            }
        });
        let ports = match tokio::time::timeout(START, listening).await {
            Ok(Ok(ports)) => ports,
            Ok(Err(status)) => panic!("parlance ended at once ({status}):\n{}", process.tail()),
            Err(elapsed) => panic!("parlance does not listen, {elapsed}:\n{}", process.tail()),
        };
        Parlance {
            grpc_addr: ports.grpc,
            http_addr: ports.http,
            pid: process.pid(),
            process,
            _scratch: scratch,
        }
    }

    /// Runs a command to its end: `migrate`, a client command, or a `serve` that is expected to fail.
    pub async fn run<A>(self, args: A, within: Duration) -> Finished
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
    {
        let scratch = Scratch::new("parlance");
        let args = args.into_iter().map(Into::into).chain(self.args.clone());
        let process = self.launch(&scratch, args.collect()).spawn();
        let status = ended(&process, within).await;
        Finished {
            status,
            stdout: process.stdout.text(),
            stderr: process.stderr.text(),
        }
    }

    fn launch(&self, scratch: &Scratch, args: Vec<OsString>) -> Launch {
        Launch {
            program: self.binary.clone().unwrap_or_else(find_binary),
            args,
            env: self.env.clone(),
            dir: scratch.path().to_owned(),
            death_signal: "KILL",
            unprivileged: false,
        }
    }
}

/// Returns the ports from the first complete line that announces them; other lines are skipped.
fn ports(stdout: &str) -> Option<Ports> {
    stdout
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .find_map(|line| serde_json::from_str(line).ok())
}

pub(super) fn find_binary() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this program");
    let given = std::env::var_os("PARLANCE_BIN").filter(|path| !path.is_empty());
    let path = given.map_or_else(|| sibling_binary(&exe), PathBuf::from);
    assert!(
        path.is_file(),
        "{} does not exist: build it with `cargo build -p parlance-cli` (with --profile dist for benches), or set PARLANCE_BIN",
        path.display()
    );
    // The child runs in a directory of its own, so the path must be absolute.
    path.canonicalize().expect("a file that exists has a path")
}

/// Returns the binary of the same profile: tests are in `deps` and examples in `examples`, both next to the binaries.
fn sibling_binary(exe: &Path) -> PathBuf {
    let dir = exe.parent().expect("a program is in a directory");
    let nested = dir.ends_with("deps") || dir.ends_with("examples");
    let profile = if nested {
        dir.parent().expect("deps is in a directory")
    } else {
        dir
    };
    profile.join("parlance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_taken_from_the_profile_of_the_test() {
        for exe in [
            "/t/release/deps/it-1f",
            "/t/release/examples/load",
            "/t/release/bench",
        ] {
            assert_eq!(
                sibling_binary(Path::new(exe)),
                Path::new("/t/release/parlance")
            );
        }
    }

    #[test]
    fn ports_are_read_from_a_whole_line_only() {
        let line = r#"{"grpc":"127.0.0.1:1","http":"127.0.0.1:2"}"#;
        assert!(ports(line).is_none());
        let ports = ports(&format!("hello\n{line}\n")).unwrap();
        assert_eq!((ports.grpc.port(), ports.http.port()), (1, 2));
    }
}
