//! Check of the files that settings name.

use std::path::Path;

use super::{InvalidSettings, Settings};

/// First line of a certificate in a PEM file.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

impl Settings {
    /// Checks the files that settings name. The rest of the configuration reads no file.
    pub fn check_files(&self) -> Result<(), InvalidSettings> {
        let files = [
            ("DATABASE_CA", &self.database_ca),
            ("REDIS_CA", &self.redis_ca),
        ];
        let problems: Vec<String> = files
            .into_iter()
            .filter_map(|(name, path)| problem(name, path.as_deref()?))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings(problems))
        }
    }
}

/// Returns the problem of a file with CA certificates, if there is one.
fn problem(name: &str, path: &Path) -> Option<String> {
    let why = match std::fs::read(path) {
        Err(error) => error.to_string(),
        Ok(pem) if String::from_utf8_lossy(&pem).contains(CERTIFICATE) => return None,
        Ok(_) => "the file has no certificate".to_owned(),
    };
    let path = path.display();
    Some(format!(
        "{name}: cannot read CA certificates from {path}: {why}; name a PEM file that the service may read"
    ))
}
