//! Signatures of webhooks.
//!
//! The signed text is the URL that the provider called, followed by the parameters of a form; for any other body the URL
//! contains its hash as `bodySHA256`. `X-Twilio-Signature` is the HMAC of that text:
//!
//! * with `X-Twilio-Webhooks-Signature-Settings: key=<name>,algorithm=HMAC_SHA256`: SHA-256 with the shared key of that name;
//! * without it: SHA-1 with the auth token. During a rotation the secondary token is valid, too.
//!
//! The provider signs with or without the port of the URL, so both are accepted. Tags are compared in constant time.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use ring::{digest, hmac};

use super::account::{Account, Accounts};
use super::form::Form;
use crate::WebhookRequest;

const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const ALGORITHM: &str = "HMAC_SHA256";
const BODY_HASH: &str = "bodySHA256";

/// Verifier of signatures, with the keys of all accounts.
pub(super) struct Verifier {
    accounts: Vec<AccountKeys>,
}

struct AccountKeys {
    account_sid: String,
    /// Names of the credentials by which senders have the account.
    credentials: Vec<String>,
    auth_tokens: Vec<hmac::Key>,
    shared_keys: Vec<(String, hmac::Key)>,
}

/// Why a request is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("the request has no readable X-Twilio-Signature")]
    Missing,
    #[error("the signature settings are not key=<name>,algorithm=HMAC_SHA256")]
    Settings,
    #[error("the hash of the body is not the bodySHA256 of the URL")]
    Body,
    #[error(
        "no configured key gives this signature; check PUBLIC_URL, the auth token and the shared keys"
    )]
    Mismatch,
}

/// Form of the signature that a request has.
enum Scheme<'a> {
    AuthToken,
    SharedKey(&'a str),
}

impl Verifier {
    pub(super) fn new(accounts: &Accounts) -> Self {
        let keys = accounts
            .iter()
            .map(|account| AccountKeys::new(account, accounts.is_default(account)));
        Self {
            accounts: keys.collect(),
        }
    }

    /// Verifies a request; returns the names of the credentials of the account that signed it.
    pub(super) fn verify(
        &self,
        request: &WebhookRequest,
        form: &Form,
    ) -> Result<Vec<String>, SignatureError> {
        let tag = tag(&request.headers).ok_or(SignatureError::Missing)?;
        let scheme = scheme(&request.headers)?;
        let parameters = match form {
            Form::Urlencoded(parameters) => parameters.signed(),
            Form::Other(_) => {
                check_body_hash(request)?;
                String::new()
            }
        };
        let texts: Vec<String> = urls(&request.url)
            .into_iter()
            .map(|url| url + &parameters)
            .collect();
        let signed_by = |account: &&AccountKeys| {
            account.keys(&scheme).into_iter().any(|key| {
                let mut texts = texts.iter();
                texts.any(|text| hmac::verify(key, text.as_bytes(), &tag).is_ok())
            })
        };
        let found: Vec<String> = self
            .of(form.parameters().get("AccountSid"))
            .filter(signed_by)
            .flat_map(|account| account.credentials.iter().cloned())
            .collect();
        if found.is_empty() {
            Err(SignatureError::Mismatch)
        } else {
            Ok(found)
        }
    }

    /// The accounts with this SID. A subaccount signs with a key of its own, which may be configured under the SID of its
    /// main account: so all of them for an unknown SID.
    fn of(&self, account_sid: &str) -> impl Iterator<Item = &AccountKeys> {
        let is_known = self.accounts.iter().any(|it| it.account_sid == account_sid);
        self.accounts
            .iter()
            .filter(move |it| !is_known || it.account_sid == account_sid)
    }
}

impl AccountKeys {
    fn new(account: &Account, is_default: bool) -> Self {
        let mut credentials = vec![account.name.clone()];
        if is_default {
            credentials.push(String::new());
        }
        let auth_tokens = account.auth_tokens.iter();
        let shared_keys = account.shared_keys.iter();
        let sha1 = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        Self {
            account_sid: account.account_sid.clone(),
            credentials,
            auth_tokens: auth_tokens
                .map(|token| hmac::Key::new(sha1, token.expose().as_bytes()))
                .collect(),
            shared_keys: shared_keys
                .map(|key| {
                    let secret = key.secret.expose().as_bytes();
                    (key.name.clone(), hmac::Key::new(hmac::HMAC_SHA256, secret))
                })
                .collect(),
        }
    }

    /// The keys that may have made a signature of this form.
    fn keys(&self, scheme: &Scheme<'_>) -> Vec<&hmac::Key> {
        match scheme {
            Scheme::AuthToken => self.auth_tokens.iter().collect(),
            Scheme::SharedKey(name) => {
                let keys = self.shared_keys.iter();
                keys.filter(|(known, _)| known == name)
                    .map(|(_, key)| key)
                    .collect()
            }
        }
    }
}

fn tag(headers: &HeaderMap) -> Option<Vec<u8>> {
    STANDARD.decode(headers.get(SIGNATURE)?).ok()
}

fn scheme(headers: &HeaderMap) -> Result<Scheme<'_>, SignatureError> {
    let Some(settings) = headers.get(SETTINGS).map(HeaderValue::to_str) else {
        return Ok(Scheme::AuthToken);
    };
    let settings = settings.map_err(|_| SignatureError::Settings)?;
    let (mut key, mut algorithm) = ("", "");
    for setting in settings.split(',') {
        match setting.trim().split_once('=') {
            Some(("key", name)) => key = name.trim(),
            Some(("algorithm", name)) => algorithm = name.trim(),
            Some(_) | None => {}
        }
    }
    if key.is_empty() || algorithm != ALGORITHM {
        return Err(SignatureError::Settings);
    }
    Ok(Scheme::SharedKey(key))
}

/// The hash is part of the signed URL, so it is no secret.
fn check_body_hash(request: &WebhookRequest) -> Result<(), SignatureError> {
    let expected = request.parameter(BODY_HASH).unwrap_or_default();
    let mut hash = String::new();
    for byte in digest::digest(&digest::SHA256, &request.body).as_ref() {
        // Writing to a string does not fail.
        let _ = write!(hash, "{byte:02x}");
    }
    if expected.eq_ignore_ascii_case(&hash) {
        Ok(())
    } else {
        Err(SignatureError::Body)
    }
}

/// The URL as it is, without its port, and with the standard port if it has none.
fn urls(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return urls;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    // The last colon of an IPv6 address is within its brackets.
    let port = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'));
    match (port, scheme) {
        (Some((host, _)), _) => urls.push(format!("{scheme}://{host}{path}")),
        (None, "https") => urls.push(format!("{scheme}://{host}:443{path}")),
        (None, "http") => urls.push(format!("{scheme}://{host}:80{path}")),
        (None, _) => {}
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_tried_with_and_without_its_port() {
        for (url, other) in [
            ("https://a.example/p?q=1", "https://a.example:443/p?q=1"),
            ("https://a.example:443/p", "https://a.example/p"),
            ("https://a.example:8443?q=:", "https://a.example?q=:"),
            ("http://a.example", "http://a.example:80"),
            ("http://[::1]/p", "http://[::1]:80/p"),
            ("http://[::1]:80/p", "http://[::1]/p"),
        ] {
            assert_eq!(urls(url), [url, other]);
        }
        assert_eq!(urls("x"), ["x"]);
    }
}
