//! Credentials of the variables `TWILIO_...`, and warnings about the credentials of all accounts.

use std::net::IpAddr;

use super::credentials::{Given, TWILIO, TwilioCredentials};
use super::read::Reader;
use super::table::Settings;

/// Adds the credentials of the environment's variables to those of the file.
pub(super) fn finish(settings: &mut Settings, reader: &mut Reader) {
    settings.twilio = std::mem::take(&mut reader.credentials);
    let given = Given {
        name: TWILIO,
        label: &|field: &str| format!("TWILIO_{}", field.to_ascii_uppercase()),
        account_sid: settings.twilio_account_sid.clone(),
        auth_token: settings.twilio_auth_token.clone(),
        secondary_auth_token: settings.twilio_secondary_auth_token.clone(),
        api_key: settings.twilio_api_key.clone(),
        api_secret: settings.twilio_api_secret.clone(),
        shared_keys: settings.twilio_shared_keys.clone(),
        base_url: settings.twilio_base_url.clone(),
    };
    let Some(first) = given.first() else {
        return;
    };
    let first = (given.label)(first);
    if settings.twilio.iter().any(|it| it.name == TWILIO) {
        reader.problems.push(format!(
            "credentials.{TWILIO} and {first} are both set, and both are the credentials named {TWILIO}: remove one, or rename the table"
        ));
        return;
    }
    if !reader.are_valid(&[
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_API_KEY",
        "TWILIO_API_SECRET",
    ]) {
        return;
    }
    match given.complete() {
        Ok(complete) => settings.twilio.insert(0, complete),
        Err(problem) => reader.problems.push(problem),
    }
}

/// Warnings about credentials that are valid and probably not intended.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    for credentials in &settings.twilio {
        let name = &credentials.name;
        if credentials.auth_token.is_none() && credentials.shared_keys.is_empty() {
            warnings.push(format!(
                "the credentials {name} have neither an auth token nor shared keys: every webhook of this account is refused; \
                 set TWILIO_AUTH_TOKEN or auth_token"
            ));
        }
        if credentials
            .base_url
            .as_deref()
            .is_some_and(|url| url.starts_with("http://") && !is_loopback(url))
        {
            warnings.push(format!(
                "the base URL of the credentials {name} is not https: its secrets are sent in clear text"
            ));
        }
    }
    let is_remote =
        |it: &TwilioCredentials| it.base_url.as_deref().is_none_or(|url| !is_loopback(url));
    if settings.public_url.is_none() && settings.twilio.iter().any(is_remote) {
        warnings.push(
            "PUBLIC_URL is not set: Twilio cannot report the status of messages, and the signatures of its webhooks do not match; \
             set it to the URL at which Twilio reaches the webhooks"
                .to_owned(),
        );
    }
    warnings
}

/// Whether a base URL is one of this machine.
fn is_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_local = |address: IpAddr| address.is_loopback();
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://api.twilio.com",
            "http://127.example.com",
            "http://10.0.0.1",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
