//! Look-up of a message whose answer was lost.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parlance_domain::Timestamp;

use crate::HandOver;

/// The attempt to look for, with what a provider can find it by.
#[derive(Clone)]
pub struct LookUpQuery {
    /// The attempt whose answer was lost, and its sender.
    pub hand_over: HandOver,
    /// Our address.
    pub from: String,
    /// Their address.
    pub to: String,
    /// The plain text.
    pub body: String,
    /// Number of attachments.
    pub attachments: usize,
    /// The message was not handed over before this time, by our clock.
    pub not_before: Timestamp,
    /// The messages that are known already.
    pub known: Arc<dyn KnownMessages>,
}

impl fmt::Debug for LookUpQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUpQuery")
            .field("attempt", &self.hand_over.attempt)
            .finish_non_exhaustive()
    }
}

/// Messages of the owner whose provider's id is stored. A provider that finds an attempt by its content alone must leave
/// them out: the same text may have been sent to the same recipient before.
#[async_trait]
pub trait KnownMessages: Send + Sync + 'static {
    /// Whether a message has this id of the provider; `None` if that cannot be found out at present.
    async fn is_known(&self, provider_message_id: &str) -> Option<bool>;
}
