//! Paths of the servers' programs.

use std::path::{Path, PathBuf};

/// Returns the directory of `postgres` and `initdb`: from the PATH, or the newest in Debian's location, which is not on
/// the PATH.
pub(crate) fn postgres_bin() -> PathBuf {
    on_path("postgres")
        // `postgres` on the PATH is often a link into the real directory.
        .and_then(|found| Some(found.canonicalize().ok()?.parent()?.to_owned()))
        .filter(|dir| dir.join("initdb").is_file())
        .or_else(|| newest_postgres(Path::new("/usr/lib/postgresql")))
        .unwrap_or_else(|| {
            panic!(
                "no postgres on the PATH or in /usr/lib/postgresql/*/bin: \
                 `apt-get install postgresql`, or set TEST_DATABASE_URL to a server that tests may use \
                 (tests that kill their server need the program)"
            )
        })
}

pub(crate) fn redis_server() -> PathBuf {
    on_path("redis-server").unwrap_or_else(|| {
        panic!(
            "no redis-server on the PATH: `apt-get install redis-server`, or set TEST_REDIS_URL to a server that \
             tests may use (tests that need a Redis of their own need the program)"
        )
    })
}

pub(crate) fn prometheus() -> PathBuf {
    on_path("prometheus").expect("prometheus on the PATH: `apt-get install prometheus`")
}

pub(crate) fn chromium() -> PathBuf {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| on_path(name))
        .expect("chromium on the PATH: `apt-get install chromium`")
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn newest_postgres(root: &Path) -> Option<PathBuf> {
    let versions = root.read_dir().ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("bin/postgres").is_file() && dir.join("bin/initdb").is_file())
        .max_by_key(|dir| {
            // Compared as numbers: 9.6 is older than 15.
            let name = dir.file_name()?.to_str()?;
            name.split('.').next()?.parse::<u32>().ok()
        })
        .map(|dir| dir.join("bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_version_is_used() {
        let root = tempfile::tempdir().unwrap();
        for (version, program) in [
            ("9.6", "postgres"),
            ("9.6", "initdb"),
            ("15", "postgres"),
            ("15", "initdb"),
            ("17", "initdb"),
        ] {
            let bin = root.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::write(bin.join(program), "").unwrap();
        }
        let found = newest_postgres(root.path());
        assert_eq!(found, Some(root.path().join("15/bin")));
    }

    #[test]
    fn a_missing_directory_has_no_version() {
        assert_eq!(newest_postgres(Path::new("/does/not/exist")), None);
    }
}
