//! Look-up of a message whose answer was lost, in the provider's list.
//!
//! The provider knows no id of ours, so a message is found by its numbers, text and time. The same text may have been sent
//! before: entries whose id is stored with a message are left out, and what remains is the lost one. The messages of two
//! numbers are handed over one at a time, so no other message can be between its acceptance and the storage of its id.
//!
//! The list is not limited to a day by `DateSent`: the provider leaves out messages that it has accepted and not sent yet.
//! Its order is newest first, and it is read up to the time of the message.

use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::Timestamp;

use super::Twilio;
use super::account::Account;
use super::client::Parameter;
use super::http_client::{Answer, CallError};
use super::resource::{MessagePage, MessageResource, is_sid};
use crate::{LookUp, LookUpQuery, LookUpResult};

/// Maximum difference between the provider's clock and ours, and the precision of its times.
const CLOCK_MARGIN: Duration = Duration::from_mins(1);
/// Maximum number of pages. More messages between two numbers since a hand-over are not searched.
const MAX_PAGES: usize = 5;
/// What the provider puts before each text of a trial account.
const TRIAL_PREFIX: &str = "Sent from your Twilio trial account - ";

#[async_trait]
impl LookUp for Twilio {
    async fn look_up(&self, query: &LookUpQuery) -> LookUpResult {
        let Some(account) = self.accounts.of(&query.hand_over.sender) else {
            return LookUpResult::Unknown;
        };
        let Some(found) = self.candidates(account, query).await else {
            return LookUpResult::Unknown;
        };
        first_unknown(query, found).await
    }
}

impl Twilio {
    /// The messages of the list that look like this one, oldest first; `None` if the list could not be read as a whole.
    async fn candidates(
        &self,
        account: &Account,
        query: &LookUpQuery,
    ) -> Option<Vec<MessageResource>> {
        let since = query.not_before.minus(CLOCK_MARGIN);
        let mut next: Option<String> = None;
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = match &next {
                None => self.client.list(account, &filters(query)).await,
                Some(next) => self.client.next_page(account, next).await,
            };
            let MessagePage {
                messages,
                next_page_uri,
            } = page(answer)?;
            let mut is_read = false;
            for message in messages {
                let created_at = message.created_at()?;
                is_read |= created_at < since;
                if created_at >= since && matches(query, &message) {
                    found.push((created_at, message));
                }
            }
            next = next_page_uri.filter(|uri| !uri.is_empty() && !is_read);
            if next.is_none() {
                return Some(oldest_first(found));
            }
        }
        None
    }
}

/// A message of a Messaging Service may have no number yet, so it is found by the service.
fn filters(query: &LookUpQuery) -> Vec<Parameter<'static>> {
    let mut filters = vec![("To", query.to.clone())];
    if query.hand_over.sender.messaging_service.is_empty() {
        filters.push(("From", query.from.clone()));
    }
    filters
}

fn page(answer: Result<Answer, CallError>) -> Option<MessagePage> {
    let answer = answer.ok().filter(|answer| answer.status.is_success())?;
    serde_json::from_slice(answer.body.as_deref()?).ok()
}

/// Times have a precision of one second, so the order of the list decides between equal ones.
fn oldest_first(mut found: Vec<(Timestamp, MessageResource)>) -> Vec<MessageResource> {
    found.reverse();
    found.sort_by_key(|(created_at, _)| *created_at);
    found.into_iter().map(|(_, message)| message).collect()
}

fn matches(query: &LookUpQuery, message: &MessageResource) -> bool {
    let service = query.hand_over.sender.messaging_service.as_str();
    let is_from = if service.is_empty() {
        message.from() == query.from
    } else {
        message.messaging_service_sid() == service
    };
    let body = message.body();
    let body = body.strip_prefix(TRIAL_PREFIX).unwrap_or(body);
    is_from
        && message.to() == query.to
        && message.is_outbound()
        && message.media() == query.attachments
        // The provider removes space at the ends.
        && body.trim() == query.body.trim()
}

/// The first entry whose id no message has.
async fn first_unknown(query: &LookUpQuery, found: Vec<MessageResource>) -> LookUpResult {
    for message in found {
        // Not a usable id: whether it is ours cannot be found out.
        if !is_sid(&message.sid) {
            return LookUpResult::Unknown;
        }
        match query.known.is_known(&message.sid).await {
            Some(true) => {}
            Some(false) => {
                return LookUpResult::Accepted {
                    provider_message_id: message.sid,
                };
            }
            None => return LookUpResult::Unknown,
        }
    }
    LookUpResult::NotFound
}
