//! One hand: takes one message to its provider.

use std::sync::Arc;
use std::time::Duration;

use parlance_domain::message::{ProgressEvent, ReportedError};
use parlance_domain::{DeliveryPolicy, EventType, Message, Step};
use parlance_providers::Outcome;
use parlance_storage::db::delivery::Claim;

use super::claimer::Works;
use super::outcome::{Ended, Ending, WhyNot};
use crate::error::Result;
use crate::write::held;

/// A hand-over that takes longer than this is shown as SENDING.
const LONG: Duration = Duration::from_secs(2);

pub(super) struct Hand {
    pub(super) works: Arc<Works>,
    pub(super) claim: Claim,
    pub(super) message: Message,
}

impl Hand {
    /// Hands the message over, unless there is a reason not to.
    pub(super) async fn deliver(self) -> Ended {
        let Self {
            works,
            claim,
            message,
        } = self;
        let now = works.app.now();
        works
            .observer
            .handed_over(message.channel, now.since(claim.due_at));
        let (channel, conversation_id) = (message.channel, message.conversation_id);
        let ending = if claim.answer_lost && message.policy == DeliveryPolicy::AtMostOnce {
            // A worker died while it handed this over: it may have left, and must not leave twice.
            Ending::NotHandedOver(WhyNot::LeftUncertain)
        } else if claim.attempt > works.app.settings.pace.max_attempts {
            // Whatever kills its worker each time would do so for ever.
            Ending::NotHandedOver(WhyNot::NeverAnswered)
        } else if now >= claim.lease_until {
            // Somebody else may be at it: a call now could be the second, and come after that of the next message.
            Ending::NotHandedOver(WhyNot::TooLate)
        } else if message.expires_at.is_some_and(|at| at <= now) {
            Ending::NotHandedOver(WhyNot::Expired)
        } else {
            Ending::Answered(hand_over(&works, &claim, message).await)
        };
        Ended {
            claim,
            conversation_id,
            channel,
            ending,
        }
    }
}

async fn hand_over(works: &Works, claim: &Claim, message: Message) -> Outcome {
    let pace = &works.app.settings.pace;
    let answer = tokio::time::timeout(
        pace.provider_timeout,
        works.carriers.hand_over(message, claim.attempt),
    );
    tokio::pin!(answer);
    // Beside the answer, not before it: a slow database must not keep the provider's from being heard.
    let showing = async {
        tokio::time::sleep(LONG).await;
        if let Err(error) = show_sending(works, claim).await {
            // Only what is shown meanwhile; the outcome is written all the same.
            tracing::debug!(%error, cause = error.causes(), message_id = %claim.message_id, "a long hand-over could not be shown");
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

async fn show_sending(works: &Works, claim: &Claim) -> Result<()> {
    let app = &works.app;
    let mut tx = app.begin(&claim.owner).await?;
    let Some(found) = tx.lock_message(claim.message_id).await? else {
        return Ok(());
    };
    if tx.delivery_attempt(claim.message_id).await? != Some(claim.attempt) {
        return Ok(());
    }
    let due = match found.progress.clone().apply(ProgressEvent::Due) {
        Step::Moved(progress) => progress,
        Step::Ignored | Step::Illegal => found.progress.clone(),
    };
    let Step::Moved(progress) = due.apply(ProgressEvent::HandingOver {
        attempt: claim.attempt,
    }) else {
        return Ok(());
    };
    let message = Message {
        progress,
        updated_at: tx.now(),
        version: found.version + 1,
        ..found.clone()
    };
    let user = tx.user_of(found.conversation_id).await?;
    held(
        tx.update_message(&found, &message, EventType::MessageStatusChanged, &user)
            .await?,
    )?;
    app.commit(tx).await
}
