//! Preview of a send, without writing anything.

use parlance_domain::message::ScheduleView;
use parlance_domain::{Channel, Owner, sms};
use parlance_storage::Tx;

use super::compose;
use super::send::SendMessage;
use crate::App;
use crate::error::{Error, Kind, Reason, Result};

/// Result of `preview_message`: what `send_message` would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preview {
    /// Our address; empty for chat.
    pub from_address: String,
    /// Their address; empty for chat.
    pub to_address: String,
    /// Encoding of the text; SMS only.
    pub encoding: Option<sms::Encoding>,
    /// Number of SMS segments; 0 on the other channels.
    pub segments: i32,
    /// Why the message would be refused.
    pub refused: Option<Reason>,
    /// The provider; empty for chat.
    pub provider: String,
}

impl App {
    /// Checks a message as `send_message` would, and writes nothing.
    pub async fn preview_message(&self, owner: &Owner, request: SendMessage) -> Result<Preview> {
        // Uses a transaction that is rolled back: with `open_senders`, an address may become a sender in it.
        let mut tx = self.begin(owner).await?;
        let preview = self.check_send(&mut tx, &request).await;
        tx.rollback().await?;
        preview
    }

    async fn check_send(&self, tx: &mut Tx, request: &SendMessage) -> Result<Preview> {
        let new = &request.message;
        let found = match self.lock_target(tx, &new.target).await {
            Ok(found) => found,
            Err(error) => return refused(Preview::default(), error),
        };
        let conversation = match &found {
            Some(found) => found.clone(),
            None => self.new_conversation(tx, &new.target)?,
        };
        let channel = compose::channel(&new.target, &conversation, !new.attachments.is_empty());
        let mut violations = compose::violations(new, channel, false, self.limits());
        let schedule = ScheduleView {
            channel: Some(channel),
            send_at: request.send_at,
            expires_at: request.expires_at,
        };
        violations.extend(schedule.check(Some(tx.now())));
        compose::ensure_valid(violations)?;
        let measure = (channel == Channel::Sms).then(|| sms::measure(&new.content.body));
        let mut preview = Preview {
            from_address: conversation.participant_from.clone(),
            to_address: conversation.participant_to.clone(),
            encoding: measure.map(|measure| measure.encoding),
            segments: measure.map_or(0, |measure| measure.segments),
            ..Preview::default()
        };
        // In the order of a send, which reports the first of several reasons.
        if channel != Channel::Chat {
            match self
                .sender_of(tx, channel, &conversation.participant_from)
                .await
            {
                Ok(sender) => preview.provider = sender.provider,
                Err(error) => return refused(preview, error),
            }
        }
        if let Err(error) = super::conversation_target::advanced(&conversation, false, tx.now()) {
            return refused(preview, error);
        }
        match self.prepare_attachments(tx, new).await {
            Ok(_) => Ok(preview),
            Err(error) => refused(preview, error),
        }
    }
}

/// Turns a refusal into a preview; other errors, such as an unavailable database, stay errors.
fn refused(preview: Preview, error: Error) -> Result<Preview> {
    match error.reason.kind() {
        Kind::FailedPrecondition | Kind::PermissionDenied | Kind::AlreadyExists => Ok(Preview {
            refused: Some(error.reason),
            ..preview
        }),
        Kind::InvalidArgument
        | Kind::NotFound
        | Kind::Aborted
        | Kind::ResourceExhausted
        | Kind::OutOfRange
        | Kind::Unavailable
        | Kind::DeadlineExceeded
        | Kind::Internal => Err(error),
    }
}
