//! Configuration: environment variables take precedence over `parlance.toml`, and both over defaults.
//!
//! Pure: the environment and the file are arguments; only [`Settings::check_files`] reads others. To add a setting, add a row
//! to [`table`].

mod cache;
mod credentials;
mod files;
mod mask;
mod names;
mod parse;
mod read;
mod setting;
mod show;
pub mod table;
#[cfg(test)]
mod tests;
mod twilio;
mod values;

use std::path::Path;

use parlance_domain::message::Limits;

pub use credentials::{SecretReader, TwilioCredentials};
pub use parlance_storage::DatabaseUrl;
pub use read::File;
pub use setting::{EffectiveSetting, Origin, Setting};
pub use table::Settings;
pub use values::{LogFormat, Migrate};

use read::Reader;

/// Everything that is invalid in a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// Reads the configuration from the environment and the file.
    pub fn load(
        env: impl Iterator<Item = (String, String)>,
        file: Option<File>,
    ) -> Result<Self, InvalidSettings> {
        finish(Reader::new(table::TABLE, env, file))
    }

    /// Reads the configuration of an ephemeral service: its database is in `folder`, and it listens on free ports of
    /// loopback.
    pub fn load_ephemeral(
        env: impl Iterator<Item = (String, String)>,
        file: Option<File>,
        folder: &Path,
    ) -> Result<Self, InvalidSettings> {
        let mut reader = Reader::new(table::TABLE, env, file);
        if reader.is_set("DATABASE_URL") {
            reader.problems.push(
                "DATABASE_URL is set, but --ephemeral creates a temporary database: unset DATABASE_URL or omit --ephemeral"
                    .to_owned(),
            );
        }
        let database = folder.join("parlance.db");
        reader.override_with("DATABASE_URL", format!("sqlite://{}", database.display()));
        reader.override_with("MIGRATE", "auto"); // the database is always empty
        reader.override_with("GRPC_LISTEN", FREE_PORT);
        reader.override_with("HTTP_LISTEN", FREE_PORT);
        reader.override_with("WEBHOOK_LISTEN", ""); // on the HTTP port
        reader.override_with("DRAIN_DELAY", "0"); // no load balancer uses its ports
        finish(reader)
    }

    /// The effective settings, one entry each, with secrets masked.
    pub fn effective(&self) -> &[EffectiveSetting] {
        &self.effective
    }

    /// Warnings, one line each, about values that are valid but probably not intended.
    pub fn warnings(&self) -> Vec<String> {
        let open = [
            ("GRPC_LISTEN", self.grpc_listen),
            ("HTTP_LISTEN", self.http_listen),
        ]
        .into_iter()
        .filter(|(_, address)| !address.ip().is_loopback())
        .map(|(name, address)| {
            format!(
                "AUTH is off and {name} is {address}: every client that can connect may read and write all data; \
                 restrict access to this address"
            )
        });
        let read = self.read_warnings.iter().cloned();
        read.chain(open)
            .chain(cache::warning(self))
            .chain(twilio::warnings(self))
            .collect()
    }

    /// How storage opens the database.
    pub fn storage(&self) -> parlance_storage::Settings {
        let defaults = parlance_storage::Settings::new(self.database_url.clone());
        parlance_storage::Settings {
            pool_size: self.database_pool_size,
            ca_file: self.database_ca.clone(),
            search_language: self.search_language,
            hold_after_restore: self
                .hold_after_restore
                .unwrap_or(defaults.hold_after_restore),
            ..defaults
        }
    }

    /// Limits of the content of a message.
    pub const fn limits(&self) -> Limits {
        Limits {
            sms_body_chars: self.sms_body_chars,
            body_bytes: self.body_bytes,
            metadata_bytes: self.metadata_bytes,
            attachments: self.max_attachments,
            attachment_bytes: self.attachment_bytes,
        }
    }
}

/// Shows the effective settings, in which secrets are masked.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.effective).finish()
    }
}

const FREE_PORT: &str = "127.0.0.1:0";

fn finish(mut reader: Reader) -> Result<Settings, InvalidSettings> {
    let mut settings = Settings::read(&mut reader);
    if let Some(settings) = &mut settings {
        cache::check(settings, &mut reader);
        check_buffered(settings, &mut reader);
        check_auth(settings, &mut reader);
        check_lease(settings, &mut reader);
        // The variables make credentials of their own, which are not shown a second time.
        settings.effective = credentials::effective(&reader.credentials);
        twilio::finish(settings, &mut reader);
    }
    match settings {
        Some(mut settings) if reader.problems.is_empty() => {
            let of_file = std::mem::take(&mut settings.effective);
            settings.effective = show::effective(&reader, &settings);
            settings.effective.extend(of_file);
            settings.read_warnings = reader.warnings;
            Ok(settings)
        }
        Some(_) | None => Err(InvalidSettings(reader.problems)),
    }
}

/// A single request of the maximum size must fit, also as JSON.
fn check_buffered(settings: &Settings, reader: &mut Reader) {
    if !reader.are_valid(&["MAX_BUFFERED_BYTES", "MAX_REQUEST_BYTES"]) {
        return;
    }
    let (buffered, request) = (settings.max_buffered_bytes, settings.max_request_bytes);
    let least = crate::body_limits::Limits::of(request).bytes;
    if buffered < least {
        reader.problems.push(format!(
            "MAX_BUFFERED_BYTES is {buffered}, but one request of MAX_REQUEST_BYTES={request} takes up to {least} bytes as JSON: \
             increase MAX_BUFFERED_BYTES or decrease MAX_REQUEST_BYTES"
        ));
    }
}

/// A lease must last longer than a provider may take: another worker would hand the message over a second time.
fn check_lease(settings: &Settings, reader: &mut Reader) {
    if !reader.are_valid(&["DELIVERY_LEASE", "DELIVERY_PROVIDER_TIMEOUT"]) {
        return;
    }
    let (lease, timeout) = (settings.delivery_lease, settings.delivery_provider_timeout);
    if lease <= timeout {
        let (lease, timeout) = (lease.as_secs(), timeout.as_secs());
        reader.problems.push(format!(
            "DELIVERY_LEASE is {lease}, but must be longer than DELIVERY_PROVIDER_TIMEOUT={timeout}: increase DELIVERY_LEASE or \
             decrease DELIVERY_PROVIDER_TIMEOUT"
        ));
    }
}

/// This version cannot authenticate callers. So it refuses `AUTH=on`, and does not listen on a network address by
/// default.
fn check_auth(settings: &Settings, reader: &mut Reader) {
    if !reader.are_valid(&["AUTH", "GRPC_LISTEN", "HTTP_LISTEN"]) {
        return;
    }
    let addresses = [settings.grpc_listen, settings.http_listen];
    let on = settings
        .auth
        .unwrap_or_else(|| addresses.iter().any(|address| !address.ip().is_loopback()));
    if on {
        let why = if settings.auth.is_some() {
            "AUTH is on, which this version does not support"
        } else {
            "a listen address other than loopback requires AUTH=on, which this version does not support"
        };
        reader.problems.push(format!(
            "{why}: set GRPC_LISTEN and HTTP_LISTEN to 127.0.0.1, or set AUTH=off explicitly, behind a proxy that \
             authenticates callers"
        ));
    }
}
