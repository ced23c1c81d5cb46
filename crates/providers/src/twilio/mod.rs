//! Twilio: SMS and MMS over its REST API, and its webhooks.
//!
//! * Accounts are [`Account`]s, one for each name of credentials. Senders name theirs.
//! * A hand-over is one POST, which is never repeated here: Twilio has no idempotency key. `outcome` says what an answer,
//!   or none, means.
//! * Connections are hyper-util's client with rustls: pooled, with time limits for the connection and for the whole call,
//!   and with bounded bodies. Redirects are not followed, since the credentials would follow them.
//! * `signature` verifies webhooks in both forms; `webhooks` parses them.

mod account;
mod cancel;
mod client;
mod codes;
mod form;
mod http_client;
mod look_up;
mod name;
mod outcome;
mod resource;
mod sending;
mod signature;
#[cfg(test)]
mod tests;
mod time;
mod webhooks;

pub use account::{Account, Login, SharedKey};
pub use name::NAME;

use std::sync::Arc;
use std::time::Duration;

use crate::{LinkKey, Provider, ProviderContext};
use account::Accounts;
use client::Client;
use http_client::HttpClient;
use webhooks::TwilioWebhooks;

/// Base URL of the REST API.
pub const BASE_URL: &str = "https://api.twilio.com";

/// Creates the provider for the registry; `None` without accounts. `timeout` limits each call.
pub fn provider(
    accounts: Vec<Account>,
    timeout: Duration,
    context: &ProviderContext,
) -> Option<Provider> {
    if accounts.is_empty() {
        return None;
    }
    let credentials = accounts.iter().map(|it| it.name.clone()).collect();
    let link_key = accounts.first().map(link_key);
    let accounts = Arc::new(Accounts::new(accounts));
    let webhooks = TwilioWebhooks {
        verifier: signature::Verifier::new(&accounts),
        events: Arc::clone(&context.events),
        now: Arc::clone(&context.now),
    };
    let twilio = Arc::new(Twilio {
        accounts,
        client: Client::new(HttpClient::new(timeout)),
        context: context.clone(),
    });
    Some(Provider {
        credentials,
        texts: Some(Arc::clone(&twilio) as _),
        cancel: Some(Arc::clone(&twilio) as _),
        look_up: Some(twilio),
        webhooks: Some(Arc::new(webhooks)),
        link_key,
        ..Provider::new(NAME)
    })
}

/// Twilio takes attachments by URL. One key is enough for all accounts, since it is verified by this service only.
fn link_key(account: &Account) -> LinkKey {
    let token = account.auth_tokens.first();
    LinkKey::derive(token.unwrap_or(&account.login.password))
}

/// The provider: its accounts, and the client for all of them.
struct Twilio {
    accounts: Arc<Accounts>,
    client: Client,
    context: ProviderContext,
}
