//! Cancellation of a message that waits at the provider: one that it schedules itself, or that waits in its queue.

use async_trait::async_trait;
use http::StatusCode;

use super::Twilio;
use super::account::Account;
use super::outcome::message;
use crate::{Cancel, CancelResult, HandOver};

#[async_trait]
impl Cancel for Twilio {
    async fn cancel(&self, hand_over: &HandOver, provider_message_id: &str) -> CancelResult {
        let Some(account) = self.accounts.of(&hand_over.sender) else {
            return CancelResult::Unknown;
        };
        match self.client.cancel(account, provider_message_id).await {
            Ok(answer) if answer.status.is_success() => match message(&answer) {
                Some(message) => state(&message.status),
                None => self.current_state(account, provider_message_id).await,
            },
            // The message cannot be canceled any more.
            Ok(answer) if answer.status == StatusCode::BAD_REQUEST => CancelResult::TooLate,
            // The request may have had its effect.
            Ok(_) | Err(_) => self.current_state(account, provider_message_id).await,
        }
    }
}

impl Twilio {
    async fn current_state(&self, account: &Account, sid: &str) -> CancelResult {
        let Ok(answer) = self.client.fetch(account, sid).await else {
            return CancelResult::Unknown;
        };
        let found = message(&answer).filter(|_| answer.status.is_success());
        found.map_or(CancelResult::Unknown, |message| state(&message.status))
    }
}

/// What a status says about a cancellation.
fn state(status: &str) -> CancelResult {
    match status {
        "canceled" => CancelResult::Canceled,
        "sending" | "sent" | "delivered" | "undelivered" | "failed" | "read" => {
            CancelResult::TooLate
        }
        _ => CancelResult::Unknown,
    }
}
