//! Providers: one folder each, behind narrow traits.
//!
//! A provider knows nothing of conversations, databases or retries. It hands over one message and classifies the answer
//! ([`Outcome`]); it passes status reports and inbound messages to [`ProviderEvents`]. It never guesses whether a message
//! without an answer was sent: it returns [`Outcome::Lost`].
//!
//! To add a provider: add a folder with its client and a function that returns a [`Provider`], which lists what the
//! provider offers: [`TextProvider`], [`MailProvider`], [`Webhooks`], [`Cancel`], [`LookUp`]. Then add one line to the
//! registry in `server/wiring/providers.rs`.

mod content;
mod events;
mod hand_over;
mod link_key;
mod look_up;
mod outcome;
mod provider;
mod secret;
mod simulated;
pub mod simulator;
pub mod twilio;
mod webhooks;

pub use content::{Content, ContentError, ContentSource};
pub use events::{
    EventRelay, InboundAttachment, InboundContent, InboundError, InboundMessage, OptOutType,
    ProviderEvents, ProviderReport, ReportedMessage, RetryReport,
};
pub use hand_over::{AttemptId, HandOver, Mail, OutboundAttachment, OutboundContent, Text};
pub use link_key::LinkKey;
pub use look_up::{KnownMessages, LookUpQuery};
pub use outcome::{CancelResult, LookUpResult, Outcome};
pub use provider::{
    Cancel, LookUp, MailProvider, Now, Provider, ProviderContext, Resume, TextProvider,
};
pub use secret::Secret;
pub use simulated::{
    Fault, FaultKind, NetworkError, Script, SentMessage, SentQuery, SimulatedNetwork, WebhookQuery,
    WebhookRecord, WebhookState,
};
pub use webhooks::{WebhookOutcome, WebhookRequest, WebhookResponse, Webhooks};
