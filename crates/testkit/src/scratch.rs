//! Directories of this process, removed when it ends or at the latest by the next process that sweeps.
//!
//! Statics are never dropped and a killed process drops nothing, so leftovers are normal. The owning process holds a
//! lock on a file in its directory. The kernel releases the lock however the process ends, and a reused pid cannot be
//! mistaken for it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Once};

use tempfile::TempDir;

use crate::signal;

/// User id of servers that refuse to run as root.
pub(crate) const UNPRIVILEGED_UID: u32 = 65534;

const OWNER_LOCK: &str = "owner.lock";

static ROOT: LazyLock<PathBuf> = LazyLock::new(find_root);

/// A directory of this process, removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: TempDir,
    _owner: File,
}

impl Scratch {
    pub(crate) fn new(kind: &str) -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| {
            sweep();
        });
        // Without this lock, a sweeper could see the directory before its own lock is taken.
        let _gate = gate(&ROOT).expect("the lock of the scratch root can be taken");
        let dir = tempfile::Builder::new()
            .prefix(&format!("{kind}-"))
            .tempdir_in(&*ROOT)
            .unwrap_or_else(|e| panic!("no scratch directory in {}: {e}", ROOT.display()));
        let mut owner = File::create_new(dir.path().join(OWNER_LOCK)).expect("owner.lock is new");
        owner.lock().expect("owner.lock can be locked");
        writeln!(owner, "{}", std::process::id()).expect("owner.lock can be written");
        Self { dir, _owner: owner }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives the directory to the user that unprivileged servers run as.
    pub(crate) fn give_to_unprivileged(&self) {
        chown(self.path(), Some(UNPRIVILEGED_UID), Some(UNPRIVILEGED_UID))
            .expect("root may give a directory away");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        end_postgres(self.path());
    }
}

/// Removes the directories that ended processes left behind, and returns their number. The first scratch directory of
/// each process triggers this.
pub fn sweep() -> usize {
    let _gate = gate(&ROOT).expect("the lock of the scratch root can be taken");
    let entries = fs::read_dir(&*ROOT).expect("the scratch root can be listed");
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.is_dir() && !is_owned(dir))
        // Directories of other users cannot be removed and are skipped.
        .filter(|dir| {
            end_postgres(dir);
            fs::remove_dir_all(dir).is_ok()
        })
        .count()
}

fn is_owned(dir: &Path) -> bool {
    File::open(dir.join(OWNER_LOCK)).is_ok_and(|lock| lock.try_lock().is_err())
}

/// Ends a Postgres that still runs in this directory (the death signal does not reach a paused server), and removes the
/// shared memory segment of a killed one: the system has only a few thousand segments.
fn end_postgres(dir: &Path) {
    let data = dir.join("data");
    let Ok(pid_file) = fs::read_to_string(data.join("postmaster.pid")) else {
        return;
    };
    let lines: Vec<&str> = pid_file.lines().collect();
    if let Some(pid) = lines.first().and_then(|line| line.trim().parse().ok())
        && signal::arguments(pid).iter().any(|a| Path::new(a) == data)
    {
        signal::kill_tree(pid);
    }
    if let Some(segment) = lines.get(6).and_then(|l| l.split_whitespace().nth(1)) {
        // Fails if the server removed the segment itself.
        let _ = std::process::Command::new("ipcrm")
            .args(["-m", segment])
            .stderr(std::process::Stdio::null())
            .status();
    }
}

fn gate(root: &Path) -> std::io::Result<File> {
    let gate = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(root.join("gate.lock"))?;
    gate.lock()?;
    Ok(gate)
}

pub(crate) fn uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

/// Returns the target directory, or the system's temporary directory if the target directory is not writable or not
/// reachable for an unprivileged server (a checkout in root's home).
fn find_root() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this program");
    let target = exe
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .map(|target| target.join("tmp/testkit"));
    let fallback = std::env::temp_dir().join(format!("parlance-testkit-{}", uid()));
    target
        .into_iter()
        .chain([fallback.clone()])
        .find(|root| {
            fs::create_dir_all(root).is_ok()
                && gate(root).is_ok()
                && (uid() != 0 || reachable_by_all(root))
        })
        .unwrap_or_else(|| {
            panic!(
                "no directory for scratch files; tried also {}",
                fallback.display()
            )
        })
}

fn reachable_by_all(dir: &Path) -> bool {
    let may_enter = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 1 != 0);
    dir.ancestors().all(may_enter)
}
