//! Configuration of this process from its environment and its file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use parlance_server::config::{File, Settings, table};

use crate::failure::Failure;
use crate::output::Output;

const DEFAULT_FILE: &str = "parlance.toml";

pub(crate) fn load(path: Option<PathBuf>) -> Result<Settings, Failure> {
    Ok(Settings::load(environment(), file(path)?)?)
}

/// Configuration of an ephemeral service that stores its data in this folder.
pub(crate) fn load_ephemeral(path: Option<PathBuf>, folder: &Path) -> Result<Settings, Failure> {
    Ok(Settings::load_ephemeral(
        environment(),
        file(path)?,
        folder,
    )?)
}

/// Value of an environment variable that is not a setting of the service.
pub(crate) fn variable(name: &str) -> Option<String> {
    environment().find_map(|(found, text)| (found == name).then_some(text))
}

fn file(path: Option<PathBuf>) -> Result<Option<File>, Failure> {
    match path {
        Some(path) => Ok(Some(read(&path)?)),
        None => match read(Path::new(DEFAULT_FILE)) {
            Err(Failure::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            read => Ok(Some(read?)),
        },
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(File { path, text }),
        Err(source) => Err(Failure::Unreadable { path, source }),
    }
}

/// All variables that are valid Unicode; others cannot be settings.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

pub(crate) fn check(settings: &Settings, output: &mut Output) -> ExitCode {
    for setting in settings.effective() {
        output.line(setting);
    }
    for warning in settings.warnings() {
        output.warning(&warning);
    }
    ExitCode::SUCCESS
}

pub(crate) fn docs(output: &mut Output) -> ExitCode {
    output.line(table::markdown().trim_end());
    ExitCode::SUCCESS
}
