//! This program as a child: the bare servers and the load generator.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

/// The line that a server prints when it listens.
#[derive(Debug, Serialize, Deserialize)]
struct Listening {
    url: String,
}

/// A server of this program; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) pid: u32,
    child: Child,
}

impl Server {
    /// Starts a part of this program and waits until it listens.
    pub(crate) fn start(args: &[String]) -> Self {
        let mut child = ourselves(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("its output is text");
        let Listening { url } = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("{args:?} said `{line}` instead of its address: {e}"));
        Self {
            url,
            pid: child.id(),
            child,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a part of this program to its end and returns what it printed.
pub(crate) fn run(args: &[String]) -> String {
    let output = ourselves(args).stderr(Stdio::inherit()).output();
    let output = output.expect("this program starts again");
    assert!(output.status.success(), "{args:?} failed");
    String::from_utf8(output.stdout).expect("its output is text")
}

fn ourselves(args: &[String]) -> Command {
    let exe = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(exe);
    command.args(args).env_remove("BENCH");
    command
}

/// Says where a server of this program listens.
pub(crate) fn announce(url: String) {
    let line = serde_json::to_string(&Listening { url }).expect("a string becomes JSON");
    println!("{line}");
}

/// Ends the process when the one that started it is gone, however that ended: only the kernel closes the pipe for sure.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
