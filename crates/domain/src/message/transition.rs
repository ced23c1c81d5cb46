//! Transitions: what an event makes of a stored message. Decided without I/O; storage writes a message back in no other
//! way.

#[cfg(test)]
mod tests;

use super::{Message, MessageStatus, ProgressEvent, segments};
use crate::{Channel, EventType, Json, Step, Timestamp};

/// Event that may change a stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageEvent {
    /// Something happens to its delivery.
    Delivery {
        /// The events, in their order. All but the last lead up to it: one that is ignored or illegal is skipped, and if
        /// the last is, none of them changes the message.
        steps: Vec<ProgressEvent>,
        /// The provider's id of the message, if it has become known. It is stored in every state.
        provider_message_id: Option<String>,
    },
    /// Its owner edits it.
    Edit(Edit),
    /// Its sender got another provider. Possible before the first hand-over only: a later attempt under the id of another
    /// provider would mix two.
    ChangeProvider(String),
}

impl From<Vec<ProgressEvent>> for MessageEvent {
    fn from(steps: Vec<ProgressEvent>) -> Self {
        Self::Delivery {
            steps,
            provider_message_id: None,
        }
    }
}

impl From<ProgressEvent> for MessageEvent {
    fn from(event: ProgressEvent) -> Self {
        vec![event].into()
    }
}

/// New values of the fields that an owner can edit: `None` leaves a field unchanged, `Some(None)` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Metadata of the owner.
    pub metadata: Option<Json>,
    /// The text.
    pub body: Option<String>,
    /// When to send it; cleared, or in the past: at once.
    pub send_at: Option<Option<Timestamp>>,
    /// When the message expires.
    pub expires_at: Option<Option<Timestamp>>,
}

impl Edit {
    /// Returns the names of the edited fields that are fixed in the message's state: the text of a sent message is,
    /// that of a chat message is not.
    #[must_use]
    pub fn refused(&self, message: &Message) -> Vec<&'static str> {
        let scheduled = message.progress.status == MessageStatus::Scheduled;
        let fields = [
            (
                "body",
                self.body.is_some(),
                scheduled || message.channel == Channel::Chat,
            ),
            ("send_at", self.send_at.is_some(), scheduled),
            ("expires_at", self.expires_at.is_some(), scheduled),
        ];
        fields
            .into_iter()
            .filter(|(_, requested, allowed)| *requested && !*allowed)
            .map(|(name, ..)| name)
            .collect()
    }
}

/// A locked message and what an event makes of it. Made by [`Message::decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition<'a> {
    found: &'a Message,
    changed: Option<Message>,
    kind: EventType,
}

impl<'a> Transition<'a> {
    /// The message as it was locked.
    #[must_use]
    pub const fn found(&self) -> &'a Message {
        self.found
    }

    /// The message as it becomes; `None` if the event is repeated or late, and changes nothing.
    #[must_use]
    pub const fn changed(&self) -> Option<&Message> {
        self.changed.as_ref()
    }

    /// Takes the message as it becomes.
    #[must_use]
    pub fn into_changed(self) -> Option<Message> {
        self.changed
    }

    /// The status after the event.
    #[must_use]
    pub fn status(&self) -> MessageStatus {
        self.changed.as_ref().unwrap_or(self.found).progress.status
    }

    /// The kind of the feed event.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        self.kind
    }

    /// A change that need not follow from an event. Only for tests of storage, which writes every state back; clippy
    /// disallows it elsewhere.
    #[must_use]
    pub const fn unchecked(found: &'a Message, changed: Message, kind: EventType) -> Self {
        Self {
            found,
            changed: Some(changed),
            kind,
        }
    }
}

impl Message {
    /// Decides what an event makes of this message, which its caller has locked; `None` if the event is not possible in
    /// its state.
    #[must_use]
    pub fn decide(&self, event: MessageEvent, now: Timestamp) -> Option<Transition<'_>> {
        let mut changed = self.clone();
        let mut edits = 0;
        match event {
            MessageEvent::Delivery {
                steps,
                provider_message_id,
            } => changed.deliver(steps, provider_message_id)?,
            MessageEvent::Edit(edit) => {
                changed.edit(edit, now)?;
                edits = 1;
            }
            MessageEvent::ChangeProvider(provider) => changed.change_provider(provider)?,
        }
        let kind = if changed.progress.status == self.progress.status {
            EventType::MessageUpdated
        } else {
            EventType::MessageStatusChanged
        };
        let changed = (changed != *self).then(|| Self {
            updated_at: now,
            version: self.version + 1,
            edit_version: self.edit_version + edits,
            ..changed
        });
        Some(Transition {
            found: self,
            changed,
            kind,
        })
    }

    fn deliver(
        &mut self,
        steps: Vec<ProgressEvent>,
        provider_message_id: Option<String>,
    ) -> Option<()> {
        let mut possible = true;
        let mut progress = self.progress.clone();
        let mut moved = false;
        for step in steps {
            let step = progress.clone().apply(step);
            possible = step != Step::Illegal;
            moved = false;
            if let Step::Moved(next) = step {
                progress = next;
                moved = true;
            }
        }
        if moved {
            self.progress = progress;
        }
        if provider_message_id.is_some() {
            self.provider_message_id = provider_message_id;
            possible = true;
        }
        possible.then_some(())
    }

    fn change_provider(&mut self, provider: String) -> Option<()> {
        let waits = matches!(
            self.progress.status,
            MessageStatus::Scheduled | MessageStatus::Pending
        );
        if !waits || self.progress.attempt > 0 {
            return None;
        }
        self.provider = Some(provider);
        Some(())
    }

    fn edit(&mut self, edit: Edit, now: Timestamp) -> Option<()> {
        if !edit.refused(self).is_empty() {
            return None;
        }
        let Edit {
            metadata,
            body,
            send_at,
            expires_at,
        } = edit;
        if let Some(metadata) = metadata {
            self.metadata = metadata;
        }
        if let Some(body) = body {
            self.segments = segments(self.channel, &body);
            self.body = body;
        }
        if let Some(expires_at) = expires_at {
            self.expires_at = expires_at;
        }
        if let Some(send_at) = send_at {
            self.send_at = send_at.filter(|at| *at > now);
            if self.send_at.is_none()
                && let Step::Moved(progress) = self.progress.clone().apply(ProgressEvent::Due)
            {
                self.progress = progress;
            }
        }
        Some(())
    }
}
