//! Directories that belong to this process and go away with it, or at the latest when the next process sweeps.
//!
//! Statics are never dropped and a killed process drops nothing, so leftovers are normal. The owner holds a lock on a
//! file in its directory: the kernel lets go of it however the owner ends, and no reused pid can be mistaken for it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Once};

use tempfile::TempDir;

use crate::signal;

/// Servers that refuse to run as root run as this one, `nobody`.
pub(crate) const NOBODY: u32 = 65534;

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
        // Without the gate a sweeper could see the directory in the moment before its lock is taken.
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

    /// Hands the directory to the user that demoted servers run as.
    pub(crate) fn give_to_nobody(&self) {
        chown(self.path(), Some(NOBODY), Some(NOBODY)).expect("root may give a directory away");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        end_postgres(self.path());
    }
}

/// Removes what processes that have ended left behind, and says how many directories that were. The first scratch
/// directory of each process does this by itself.
pub fn sweep() -> usize {
    let _gate = gate(&ROOT).expect("the lock of the scratch root can be taken");
    let entries = fs::read_dir(&*ROOT).expect("the scratch root can be listed");
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.is_dir() && !is_owned(dir))
        // What another user left is theirs to remove.
        .filter(|dir| {
            end_postgres(dir);
            fs::remove_dir_all(dir).is_ok()
        })
        .count()
}

fn is_owned(dir: &Path) -> bool {
    File::open(dir.join(OWNER_LOCK)).is_ok_and(|lock| lock.try_lock().is_err())
}

/// Ends a Postgres that still runs in this directory (the death signal does not reach a server that was paused) and
/// frees the segment of shared memory that a killed one leaves: the system has only a few thousand of them.
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
        // Fails when the server freed it itself after all.
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

/// The target directory, or else the system's temporary one: when the target directory is not ours to write to, or when
/// it lies where a demoted server could not reach it (a checkout in root's home).
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
                "no place for scratch files, not even {}",
                fallback.display()
            )
        })
}

fn reachable_by_all(dir: &Path) -> bool {
    let may_enter = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 1 != 0);
    dir.ancestors().all(may_enter)
}
