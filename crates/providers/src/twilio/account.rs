//! Accounts: login and signing keys, by the names of their credentials.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use parlance_domain::Sender;

use super::name::NAME;
use crate::Secret;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name of the credentials.
    pub name: String,
    /// SID of the account (`AC...`).
    pub account_sid: String,
    /// Login of calls.
    pub login: Login,
    /// The auth token and, during a rotation, the secondary one: each may sign webhooks.
    pub auth_tokens: Vec<Secret>,
    /// Shared keys, which sign webhooks that a webhook rule matches.
    pub shared_keys: Vec<SharedKey>,
    /// Base URL of the REST API, without a path and a slash at the end.
    pub base_url: String,
}

/// User name and password of HTTP basic authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// SID of the account or of an API key.
    pub user: String,
    /// Auth token, or secret of the API key.
    pub password: Secret,
}

/// Shared key, by the name that the signature settings of a webhook give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// Name of the key.
    pub name: String,
    /// Its secret.
    pub secret: Secret,
}

impl Account {
    /// Returns the value of the `Authorization` header.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let Login { user, password } = &self.login;
        let login = STANDARD.encode(format!("{user}:{}", password.expose()));
        let mut value = HeaderValue::try_from(format!("Basic {login}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// All accounts.
pub(super) struct Accounts(Vec<Account>);

impl Accounts {
    pub(super) const fn new(accounts: Vec<Account>) -> Self {
        Self(accounts)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.0.iter()
    }

    /// Returns the account of a sender. One that names no credentials has those named `twilio`, or the only ones.
    pub(super) fn of(&self, sender: &Sender) -> Option<&Account> {
        if sender.credentials.is_empty() {
            self.named(NAME).or_else(|| self.only())
        } else {
            self.named(&sender.credentials)
        }
    }

    fn named(&self, name: &str) -> Option<&Account> {
        self.iter().find(|account| account.name == name)
    }

    fn only(&self) -> Option<&Account> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether senders without the name of credentials have this account.
    pub(super) fn is_default(&self, account: &Account) -> bool {
        account.name == NAME || self.0.len() == 1
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|account| &account.name))
            .finish()
    }
}
