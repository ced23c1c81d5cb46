//! Throw-away headless browser.

use std::time::Duration;

use crate::child::{Launch, Process};
use crate::scratch::Scratch;
use crate::tools;

/// The first start of a large program on a busy machine takes long.
const START: Duration = Duration::from_mins(3);
const ANNOUNCEMENT: &str = "DevTools listening on ";

/// Chromium with its own profile; killed on drop. Tests control it over the `DevTools` protocol.
#[derive(Debug)]
pub struct Browser {
    devtools: String,
    // Dropped before the directory that it runs in.
    _process: Process,
    _scratch: Scratch,
}

impl Browser {
    /// Starts a browser and returns once it listens.
    pub async fn start() -> Self {
        let scratch = Scratch::new("browser");
        let profile = scratch.path().join("profile");
        let flags = [
            "--headless",
            "--no-sandbox", // the sandbox does not work as root, which tests may run as
            "--disable-gpu",
            "--disable-dev-shm-usage", // /dev/shm is small in containers
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-port=0",
            "about:blank",
        ];
        let mut args: Vec<_> = flags.map(Into::into).into();
        args.push(format!("--user-data-dir={}", profile.display()).into());
        let launch = Launch {
            program: tools::chromium(),
            args,
            env: vec![("HOME".into(), scratch.path().into())],
            dir: scratch.path().to_owned(),
            death_signal: "KILL",
            unprivileged: false,
        };
        let process = launch.spawn();
        let listening = crate::eventually(Duration::MAX, async || {
            let output = process.stderr.text();
            let line = output
                .lines()
                .find_map(|line| line.strip_prefix(ANNOUNCEMENT));
            match (line, process.exited()) {
                (Some(url), _) => Some(Ok(url.to_owned())),
                (None, status) => status.map(Err),
            }
        });
        match tokio::time::timeout(START, listening).await {
            Ok(Ok(devtools)) => Self {
                devtools,
                _process: process,
                _scratch: scratch,
            },
            Ok(Err(status)) => panic!("chromium ended at once ({status}):\n{}", process.tail()),
            Err(elapsed) => panic!("chromium does not listen, {elapsed}:\n{}", process.tail()),
        }
    }

    /// `ws://127.0.0.1:port/devtools/browser/...`
    pub fn devtools(&self) -> &str {
        &self.devtools
    }
}
