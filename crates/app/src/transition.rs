//! Events of stored messages: decided by the domain, written, and invalidated in the cache, in one place.
//!
//! A request may be repeated because its first response was lost, and then the first may have been interrupted before
//! the cache was invalidated. So a record is put into the change set before anything is decided about writing it: the
//! commit invalidates it, whether or not it was written.

use parlance_domain::message::{MessageEvent, Transition};
use parlance_domain::{Conversation, Message};
use parlance_storage::{EarlyFence, Touch, Tx};

use crate::App;
use crate::changes::Changes;
use crate::error::Result;
use crate::write::ensure_updated;

/// The fence that the transaction must be [committed](App::commit_fenced) with, if it was started early.
pub(crate) type Fence = Option<EarlyFence<Changes>>;

/// Result of an event of a message.
#[must_use]
pub(crate) enum Transitioned {
    /// The message changed and was written.
    Moved(Box<Message>, Fence),
    /// The event is repeated or late. Nothing was written, but the transaction must be committed: that invalidates the
    /// message again.
    Unchanged(Fence),
    /// The event is not possible in the message's state.
    Illegal,
}

impl App {
    /// Applies an event to a locked message and writes the result.
    pub(crate) async fn transition(
        &self,
        tx: &mut Tx,
        found: &Message,
        event: impl Into<MessageEvent>,
    ) -> Result<Transitioned> {
        let Some(transition) = found.decide(event.into(), tx.now()) else {
            return Ok(Transitioned::Illegal);
        };
        let (changed, fence) = self.store_transition(tx, transition).await?;
        Ok(match changed {
            Some(changed) => Transitioned::Moved(Box::new(changed), fence),
            None => Transitioned::Unchanged(fence),
        })
    }

    /// Writes a decision about a locked message, and returns the message if it changed. The transaction must be committed
    /// in either case.
    pub(crate) async fn store_transition(
        &self,
        tx: &mut Tx,
        transition: Transition<'_>,
    ) -> Result<(Option<Message>, Fence)> {
        let user = tx.user_of(transition.found().conversation_id).await?;
        let decided = [(transition, user.as_str())];
        let fence = self.store_transitions(tx, &decided).await?;
        let [(transition, _)] = decided;
        Ok((transition.into_changed(), fence))
    }

    /// Writes decisions about locked messages together, each with the user of its conversation.
    pub(crate) async fn store_transitions(
        &self,
        tx: &mut Tx,
        decided: &[(Transition<'_>, &str)],
    ) -> Result<Fence> {
        let early = self.early_fence_sink();
        let (outcome, fence) = tx.store_transitions(decided, early).await?;
        ensure_updated(outcome)?;
        Ok(fence)
    }

    /// Writes a locked conversation as it is to become, if that is a change.
    pub(crate) async fn rewrite_conversation(
        &self,
        tx: &mut Tx,
        found: &Conversation,
        mut changed: Conversation,
    ) -> Result<(Conversation, Fence)> {
        for user in [&found.user, &changed.user] {
            tx.touch(Touch::ConversationChanged(found.id, user.clone()));
        }
        let fence = self.fence_early(tx);
        if changed != *found {
            changed.updated_at = tx.now();
            changed.version += 1;
            ensure_updated(tx.update_conversation(found, &changed, true).await?)?;
        }
        Ok((changed, fence))
    }
}
