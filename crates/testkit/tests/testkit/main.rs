//! Tests of the testkit: servers start, end, restart, and are never left behind.

mod history;
mod orphans;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sqlite;
mod wait;

use std::time::Duration;

use parlance_testkit::eventually;

/// Longer than any step takes on a busy machine.
const SOON: Duration = Duration::from_mins(2);

/// Whether a process runs; a zombie does not count.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn gone(pid: u32) {
    eventually(SOON, async || (!is_alive(pid)).then_some(())).await;
}
