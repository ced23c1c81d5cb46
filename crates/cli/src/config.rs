//! The configuration of this process: its environment and its file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use parlance_server::config::{File, Settings, table};

use crate::failure::Failure;
use crate::output::Output;

const DEFAULT_FILE: &str = "parlance.toml";

pub(crate) fn load(path: Option<PathBuf>) -> Result<Settings, Failure> {
    let file = match path {
        Some(path) => Some(read(&path)?),
        None => match read(Path::new(DEFAULT_FILE)) {
            Err(Failure::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => None,
            read => Some(read?),
        },
    };
    Ok(Settings::load(environment(), file)?)
}

fn read(path: &Path) -> Result<File, Failure> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(File { path, text }),
        Err(source) => Err(Failure::Unreadable { path, source }),
    }
}

/// A variable that is no text is none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

pub(crate) fn check(settings: &Settings, output: &mut Output) -> ExitCode {
    for setting in settings.in_force() {
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
