//! Configuration of this process from its environment and its file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use parlance_server::config::{File, Settings, table};

use crate::environment;
use crate::failure::Failure;
use crate::output::Output;

const DEFAULT_FILE: &str = "parlance.toml";

pub(crate) fn load(path: Option<PathBuf>) -> Result<Settings, Failure> {
    checked(Settings::load(environment::all(), file(path)?)?)
}

/// Configuration of an ephemeral service that stores its data in this folder.
pub(crate) fn load_ephemeral(path: Option<PathBuf>, folder: &Path) -> Result<Settings, Failure> {
    checked(Settings::load_ephemeral(
        environment::all(),
        file(path)?,
        folder,
    )?)
}

/// Settings of logs only, from the environment; all others have their default.
pub(crate) fn load_logging() -> Result<Settings, Failure> {
    const NAMES: [&str; 2] = ["RUST_LOG", "LOG_FORMAT"];
    let logging = environment::all().filter(|(name, _)| NAMES.contains(&name.as_str()));
    Ok(Settings::load(logging, None)?)
}

fn checked(settings: Settings) -> Result<Settings, Failure> {
    settings.check_files()?;
    Ok(settings)
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
        Ok(text) => Ok(File {
            path,
            text,
            read_secret,
        }),
        Err(source) => Err(Failure::Unreadable { path, source }),
    }
}

fn read_secret(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
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
