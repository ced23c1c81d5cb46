//! Signals, and process information from `/proc`.
//!
//! The shell's built-in `kill` is used, because no package reliably contains the `kill` program and calling libc would
//! need unsafe code.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::wait::poll;

/// Longer than any signal takes, and short enough to notice a bug.
const SETTLE: Duration = Duration::from_secs(10);

/// Sends a signal to processes; those that have ended are not an error.
pub(crate) fn send(signal: &str, pids: &[u32]) {
    Command::new("sh")
        .args(["-c", r#"kill -s "$0" "$@""#, signal])
        .args(pids.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status()
        .expect("a shell to send signals with");
}

/// Stops a process and its children; the parent first, so that it cannot fork another child.
pub(crate) fn stop_tree(pid: u32) -> Vec<u32> {
    send("STOP", &[pid]);
    poll(SETTLE, || {
        matches!(state(pid), None | Some('T' | 't' | 'Z' | 'X')).then_some(())
    })
    .unwrap_or_else(|| panic!("process {pid} did not stop"));
    let children = children(pid);
    if !children.is_empty() {
        send("STOP", &children);
    }
    children
}

/// Resumes a process and its children; the children first, so that the parent does not miss them.
pub(crate) fn continue_tree(pid: u32) {
    let mut pids = children(pid);
    pids.push(pid);
    send("CONT", &pids);
}

/// Kills a process and its children, and waits until the children have ended. Waiting for the process itself is left to
/// its parent.
pub(crate) fn kill_tree(pid: u32) {
    let children = stop_tree(pid);
    let all: Vec<u32> = children.iter().copied().chain([pid]).collect();
    send("KILL", &all);
    for pid in all {
        poll(SETTLE, || (!is_alive(pid)).then_some(()))
            .unwrap_or_else(|| panic!("process {pid} survived being killed"));
    }
}

/// Whether the process runs; a zombie does not count.
pub(crate) fn is_alive(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(_, ppid)| ppid == parent))
        .collect()
}

/// Returns the arguments that a process was started with; none if it has ended.
pub(crate) fn arguments(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

fn state(pid: u32) -> Option<char> {
    stat(pid).map(|(state, _)| state)
}

/// Returns state and parent. The process name before them may contain spaces and parentheses, so parsing starts after
/// the last one.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}
