//! Delivery worker: hands one message over to its provider.

use std::sync::Arc;
use std::time::Duration;

use parlance_domain::message::{ProgressEvent, ReportedError};
use parlance_domain::{DeliveryPolicy, Message};
use parlance_providers::Outcome;
use parlance_storage::db::delivery::Claim;

use super::context::DispatcherContext;
use super::outcome::{AttemptOutcome, Ending, SkipReason};
use super::provider_change::{follow_sender, is_of_its_sender, provider_changed};
use crate::error::Result;
use crate::transition::Transitioned;

/// A hand-over that takes longer than this is shown as SENDING.
const LONG: Duration = Duration::from_secs(2);

pub(super) struct DeliveryWorker {
    pub(super) context: Arc<DispatcherContext>,
    pub(super) claim: Claim,
    pub(super) message: Message,
}

impl DeliveryWorker {
    /// Hands the message over, unless there is a reason not to.
    pub(super) async fn deliver(self) -> AttemptOutcome {
        let Self {
            context,
            claim,
            message,
        } = self;
        let message = follow_sender(&context.app, &claim, message).await;
        let now = context.app.now();
        context
            .observer
            .handed_over(message.channel, now.since(claim.due_at));
        let (channel, conversation_id) = (message.channel, message.conversation_id);
        let ending = if claim.answer_lost && message.policy == DeliveryPolicy::AtMostOnce {
            // A worker died during the hand-over: the message may have been sent, and must not be sent twice.
            Ending::NotHandedOver(SkipReason::PossiblySent)
        } else if claim.attempt > context.app.settings.pace.max_attempts {
            // A message that kills its worker each time would do so for ever.
            Ending::NotHandedOver(SkipReason::AttemptsExhausted)
        } else if now >= claim.lease_until {
            // Another worker may have claimed it: a call now could be a second hand-over, and come after that of the
            // next message.
            Ending::NotHandedOver(SkipReason::LeaseExpired)
        } else if message.expires_at.is_some_and(|at| at <= now) {
            Ending::NotHandedOver(SkipReason::Expired)
        } else if !is_of_its_sender(&message, &claim) {
            Ending::Answered(Outcome::Refused(provider_changed()))
        } else {
            Ending::of(hand_over(&context, &claim, message).await)
        };
        AttemptOutcome {
            claim,
            conversation_id,
            channel,
            ending,
        }
    }
}

async fn hand_over(context: &DispatcherContext, claim: &Claim, message: Message) -> Outcome {
    let pace = &context.app.settings.pace;
    let providers = &context.app.settings.providers;
    let answer = tokio::time::timeout(
        pace.provider_timeout,
        providers.hand_over(&context.app.db, message, claim),
    );
    tokio::pin!(answer);
    // Runs concurrently with the provider call, so that a slow database does not delay the handling of its response.
    let showing = async {
        tokio::time::sleep(LONG).await;
        if let Err(error) = show_sending(context, claim).await {
            // Affects only the status shown meanwhile; the outcome is written in any case.
            tracing::debug!(%error, cause = error.causes(), message_id = %claim.message_id, "a long hand-over could not be shown as SENDING");
        }
    };
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        () = showing => answer.await,
    };
    answered.unwrap_or_else(|_| Outcome::Lost(no_answer()))
}

fn no_answer() -> ReportedError {
    ReportedError {
        code: "timeout".to_owned(),
        message: "the provider did not answer in time".to_owned(),
        provider_code: String::new(),
    }
}

async fn show_sending(context: &DispatcherContext, claim: &Claim) -> Result<()> {
    let app = &context.app;
    let mut tx = app.begin(&claim.owner).await?;
    let Some(found) = tx.lock_message(claim.message_id).await? else {
        return Ok(());
    };
    if tx.delivery_attempt(claim.message_id).await? != Some(claim.attempt) {
        return Ok(());
    }
    let started = ProgressEvent::of_attempt(claim.attempt, None);
    match app.transition(&mut tx, &found, started).await? {
        Transitioned::Moved(_, fence) | Transitioned::Unchanged(fence) => {
            app.commit_fenced(tx, fence).await
        }
        Transitioned::Illegal => Ok(()),
    }
}
