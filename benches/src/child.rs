//! This program as a child process: bare servers and load generators.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

/// Line that a server prints when it listens.
#[derive(Debug, Serialize, Deserialize)]
struct Listening {
    url: String,
}

/// A server of this program; killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) pid: u32,
    child: Child,
}

impl Server {
    /// Starts a subcommand of this program and waits until it listens.
    pub(crate) fn start(args: &[String]) -> Self {
        let mut child = this_program(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("its output is text");
        let Listening { url } = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("{args:?} printed `{line}` instead of its address: {e}"));
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

/// Runs a subcommand of this program to its end and returns its output.
pub(crate) fn run(args: &[String]) -> String {
    let output = this_program(args).stderr(Stdio::inherit()).output();
    let output = output.expect("this program starts again");
    assert!(output.status.success(), "{args:?} failed");
    String::from_utf8(output.stdout).expect("its output is text")
}

fn this_program(args: &[String]) -> Command {
    let exe = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(exe);
    command.args(args).env_remove("BENCH");
    command
}

/// Prints the address of a server of this program.
pub(crate) fn announce(url: String) {
    let line = serde_json::to_string(&Listening { url }).expect("a string becomes JSON");
    println!("{line}");
}

/// Ends the process when its parent has ended, however that happened: the kernel closes the pipe in any case.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
