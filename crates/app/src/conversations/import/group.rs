//! The parts of one conversation, and which of their messages are missing.

use parlance_domain::message::Placement;
use parlance_domain::{
    Conversation, ConversationStatus, Direction, Message, MessageId, MessageStatus, Owner,
    Timestamp,
};
use parlance_storage::db::import::{ComparableMessage, Import};

use super::batch::Part;
use super::{OldConversation, OldMessage};
use crate::error::{Error, Reason, Result};

/// A conversation as an import leaves it.
#[derive(Debug)]
pub(super) struct Group {
    found: Option<Conversation>,
    conversation: Conversation,
    messages: Vec<Message>,
    /// Number of imported positions.
    filled: i64,
    /// Whether its inbound messages can count as unread: only if the read cursor can pass them.
    read_on: bool,
}

impl Group {
    /// An existing conversation; locked unless it is complete.
    pub(super) fn found(found: Conversation, filled: i64) -> Self {
        Self {
            conversation: found.clone(),
            read_on: found.unread_count == 0,
            found: Some(found),
            messages: Vec::new(),
            filled,
        }
    }

    /// A new conversation.
    pub(super) fn new(conversation: Conversation) -> Self {
        Self {
            found: None,
            conversation,
            messages: Vec::new(),
            filled: 0,
            read_on: true,
        }
    }

    pub(super) const fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    pub(super) const fn is_new(&self) -> bool {
        self.found.is_none()
    }

    /// How many messages of a part exist already; fails if the part cannot be added.
    pub(super) fn existing_count(&self, part: &Part) -> Result<usize> {
        if part.old.conversation.channel != self.conversation.channel {
            return Err(crate::messages::external_id_taken(&self.conversation));
        }
        if part.offset > self.filled {
            return Err(incomplete(self.filled, part.offset));
        }
        let existing = self.filled.saturating_sub(part.offset);
        let existing = usize::try_from(existing).unwrap_or(usize::MAX);
        Ok(existing.min(part.old.messages.len()))
    }

    /// Appends a message.
    pub(super) fn push(&mut self, id: MessageId, old: &OldMessage, now: Timestamp) {
        let conversation = &mut self.conversation;
        let before = self.messages.last().map(|message| message.created_at);
        let created_at = old.created_at.or(before).unwrap_or(conversation.created_at);
        conversation.last_sequence += 1;
        conversation.message_count += 1;
        conversation.last_message_at = conversation.last_message_at.max(Some(created_at));
        let message = message(id, conversation, old, (created_at, now), self.read_on);
        if self.read_on {
            conversation.read_sequence = conversation.last_sequence;
        }
        self.filled += 1;
        self.messages.push(message);
    }

    /// The rows to write; `None` if everything existed.
    pub(super) fn import(mut self, now: Timestamp) -> Option<Import> {
        if self.found.is_some() {
            if self.messages.is_empty() {
                return None;
            }
            self.conversation.version += 1;
            self.conversation.updated_at = now;
        }
        Some(Import {
            found: self.found,
            conversation: self.conversation,
            messages: self.messages,
            imported: self.filled,
        })
    }
}

/// A new conversation without messages.
pub(super) fn conversation(
    old: &OldConversation,
    first: Option<&OldMessage>,
    (id, owner, now): (parlance_domain::ConversationId, &Owner, Timestamp),
) -> Conversation {
    let OldConversation {
        external_id,
        channel,
        addresses,
        user,
        title,
        status,
        metadata,
        created_at,
    } = old;
    let (participant_from, participant_to) = addresses
        .as_ref()
        .map(|(ours, theirs)| (ours.to_string(), theirs.to_string()))
        .unwrap_or_default();
    Conversation {
        id,
        owner: owner.clone(),
        user: user.clone(),
        channel: *channel,
        participant_from,
        participant_to,
        title: title.clone(),
        status: *status,
        external_id: Some(external_id.clone()),
        last_sequence: 0,
        read_sequence: 0,
        message_count: 0,
        unread_count: 0,
        last_message_at: None,
        metadata: metadata.clone(),
        created_at: created_at
            .or_else(|| first.and_then(|first| first.created_at))
            .unwrap_or(now),
        updated_at: now,
        version: 1,
        edit_version: 1,
    }
}

/// The two addresses that no other open conversation may have.
pub(super) fn open_pair(conversation: &Conversation) -> Option<(String, String)> {
    let is_open = conversation.status != ConversationStatus::Closed;
    let ours = &conversation.participant_from;
    (is_open && !ours.is_empty()).then(|| (ours.clone(), conversation.participant_to.clone()))
}

fn message(
    id: MessageId,
    conversation: &Conversation,
    old: &OldMessage,
    (created_at, now): (Timestamp, Timestamp),
    can_be_unread: bool,
) -> Message {
    let OldMessage {
        channel,
        direction,
        content,
        attachments: _,
        carried,
        progress,
        created_at: _,
    } = old;
    let mut progress = progress.clone();
    if progress.status == MessageStatus::Delivered && progress.delivered_at.is_none() {
        progress.delivered_at = Some(created_at);
    }
    let (provider, provider_message_id) = carried.clone().unzip();
    let placement = Placement {
        id,
        conversation,
        channel: *channel,
        direction: *direction,
        attachments: Vec::new(),
        progress,
        // As for any received message: after it is read, a client may mark it as unread.
        counts_unread: can_be_unread && content.role.is_none() && *direction == Direction::Inbound,
        created_at,
    };
    Message {
        provider: provider.filter(|name| !name.is_empty()),
        provider_message_id: provider_message_id.filter(|id| !id.is_empty()),
        updated_at: now,
        ..Message::new(placement, content.clone())
    }
}

/// Whether a message equals one of these; that one is removed, so that each matches once.
pub(super) fn is_among(likenesses: &mut Vec<ComparableMessage>, old: &OldMessage) -> bool {
    let is_like = |one: &ComparableMessage| {
        Some(one.created_at) == old.created_at
            && one.direction == old.direction
            && one.role == old.content.role
            && one.body == old.content.body
            && one.metadata == old.content.metadata
    };
    let Some(at) = likenesses.iter().position(is_like) else {
        return false;
    };
    likenesses.swap_remove(at);
    true
}

fn incomplete(filled: i64, offset: i64) -> Error {
    let missing = offset.saturating_sub(filled);
    Error::new(
        Reason::ImportIncomplete,
        format!("the {missing} messages before these are missing; import them first"),
    )
    .with("imported", filled)
}
