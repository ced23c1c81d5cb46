//! A throw-away `SQLite` database.

use std::path::{Path, PathBuf};

use crate::scratch::Scratch;

/// The path of a database file in a directory of its own, so that its journal files go with it. The file does not exist
/// until somebody opens it.
#[derive(Debug)]
pub struct SqliteFile {
    path: PathBuf,
    _scratch: Scratch,
}

impl SqliteFile {
    /// A new path.
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

    /// Where the file is or will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same as a database URL, `sqlite:///…`.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }
}
