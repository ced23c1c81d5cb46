//! A provider of text messages that exists only in tests. Its network accepts every message and calls back twice.

mod signature;
mod webhooks;

use std::time::Duration;

use http::StatusCode;
use parlance_domain::message::ReportedError;
use parlance_providers::{
    Cancel, CancelResult, HandOver, LookUp, LookUpQuery, LookUpResult, Outcome, Provider,
    ProviderContext, Text, TextProvider,
};
use std::sync::Arc;
use tonic::async_trait;

use crate::service::post;
pub(crate) use signature::signed;
use webhooks::ExampleWebhooks;

pub(crate) const NAME: &str = "example";
/// The named credentials of the provider.
pub(crate) const CREDENTIALS: &str = "marketing";
/// Pause before a callback that was not accepted is repeated.
const RETRY: Duration = Duration::from_millis(50);

/// Creates the provider.
pub(crate) fn provider(context: &ProviderContext) -> Provider {
    let client = Arc::new(Client);
    Provider {
        credentials: vec![CREDENTIALS.to_owned()],
        texts: Some(Arc::clone(&client) as _),
        cancel: Some(Arc::clone(&client) as _),
        look_up: Some(client),
        webhooks: Some(Arc::new(ExampleWebhooks {
            events: Arc::clone(&context.events),
            now: Arc::clone(&context.now),
        })),
        ..Provider::new(NAME)
    }
}

struct Client;

fn id(hand_over: &HandOver) -> String {
    format!("{}-{}", hand_over.sender.credentials, hand_over.attempt)
}

#[async_trait]
impl TextProvider for Client {
    async fn send_text(&self, text: Text) -> Outcome {
        let Some(callback_url) = text.hand_over.callback_url.clone() else {
            return Outcome::Refused(ReportedError {
                code: "no_callback_url".to_owned(),
                message: "the hand-over has no callback URL".to_owned(),
                provider_code: String::new(),
            });
        };
        tokio::spawn(async move {
            for status in ["sent", "delivered"] {
                let headers = [signed(&callback_url, status)];
                while post(&callback_url, &headers, status).await.0 != StatusCode::NO_CONTENT {
                    tokio::time::sleep(RETRY).await;
                }
            }
        });
        Outcome::Accepted {
            provider_message_id: id(&text.hand_over),
        }
    }
}

#[async_trait]
impl LookUp for Client {
    async fn look_up(&self, query: &LookUpQuery) -> LookUpResult {
        LookUpResult::Accepted {
            provider_message_id: id(&query.hand_over),
        }
    }
}

#[async_trait]
impl Cancel for Client {
    async fn cancel(&self, _: &HandOver, _: &str) -> CancelResult {
        CancelResult::TooLate
    }
}
