//! Throw-away `SQLite` database.

use std::path::{Path, PathBuf};

use crate::scratch::Scratch;

/// Path of a database file in a directory of its own, so that its journal files are removed with it. The file does not
/// exist until it is opened.
#[derive(Debug)]
pub struct SqliteFile {
    path: PathBuf,
    _scratch: Scratch,
}

impl SqliteFile {
    /// Creates a directory and returns a new path in it.
    #[expect(
        clippy::new_without_default,
        reason = "a default that makes a directory would surprise"
    )]
    pub fn new() -> Self {
        let scratch = Scratch::new("sqlite");
        Self {
            path: scratch.path().join("parlance.db"),
            _scratch: scratch,
        }
    }

    /// Returns the path of the file, which may not exist yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the database URL, `sqlite:///…`.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }
}
