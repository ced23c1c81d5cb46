//! Process information from the kernel.

use std::fs;
use std::time::Duration;

/// The kernel reports times in hundredths of a second, independent of its own tick.
const TICK: Duration = Duration::from_millis(10);

/// Returns the CPU time that a process has used so far.
pub(crate) fn cpu(pid: u32) -> Duration {
    let [user, system, ..] = times(pid).unwrap_or_else(|| panic!("process {pid} is gone"));
    TICK * (user + system)
}

/// The same including its children, also those that have ended: Postgres uses a process per connection.
pub(crate) fn cpu_with_children(pid: u32) -> Duration {
    let own: u32 = times(pid).unwrap_or_default().iter().sum();
    let children = children(pid).into_iter().filter_map(times);
    TICK * (own
        + children
            .map(|[user, system, ..]| user + system)
            .sum::<u32>())
}

/// Returns the resident memory of a process in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("process {pid} is gone")) * 1024
}

/// Returns the load average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| fields(*pid).and_then(|fields| fields.get(1)?.parse().ok()) == Some(parent))
        .collect()
}

/// Returns user and system time, and those of ended children.
fn times(pid: u32) -> Option<[u32; 4]> {
    let fields = fields(pid)?;
    let ticks: Vec<u32> = fields.get(11..15)?.iter().flat_map(|f| f.parse()).collect();
    ticks.try_into().ok()
}

/// Returns the fields after the name, which may contain spaces and parentheses itself.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_uses_time_and_holds_memory() {
        let pid = std::process::id();
        let before = cpu(pid);
        let mut sum = 0_u64;
        while cpu(pid) < before + TICK * 3 {
            sum = (0..100_000_u64).fold(sum, u64::wrapping_add);
        }
        assert!(sum > 0 && cpu_with_children(pid) >= cpu(pid).saturating_sub(TICK));
        assert!(resident(pid) > 1_000_000);
    }
}
