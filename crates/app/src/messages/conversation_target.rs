//! The conversation of a new message: the one that it names, the open one of its addresses, or a new one.

use parlance_domain::conversation::ConversationEvent;
use parlance_domain::{
    Channel, Conversation, ConversationId, ConversationStatus, Json, Owner, Sender, SenderStatus,
    Step,
};
use parlance_storage::Tx;

use super::ConversationTarget;
use crate::App;
use crate::error::{Error, Reason, Result};

impl App {
    /// Locks the conversation, if it exists. The lock must precede every writing statement of the transaction: it
    /// keeps sequences free of gaps and the feed in order.
    pub(crate) async fn lock_target(
        &self,
        tx: &mut Tx,
        target: &ConversationTarget,
    ) -> Result<Option<Conversation>> {
        match target {
            ConversationTarget::Conversation(id) => match tx.lock_conversation(*id).await? {
                Some(found) => Ok(Some(found)),
                None => Err(conversation_not_found(*id)),
            },
            ConversationTarget::Pair {
                channel,
                ours,
                theirs,
                ..
            } => Ok(tx
                .lock_conversation_of_pair(*channel, ours.as_str(), theirs.as_str())
                .await?),
            ConversationTarget::Chat {
                external_id: Some(name),
                ..
            } => match tx.lock_conversation_by_external_id(name).await? {
                Some(found) if found.channel != Channel::Chat => Err(external_id_taken(&found)),
                found => Ok(found),
            },
            ConversationTarget::Chat {
                external_id: None, ..
            } => Ok(None),
        }
    }

    /// Builds the conversation that a target creates if none exists.
    pub(crate) fn new_conversation(
        &self,
        tx: &Tx,
        target: &ConversationTarget,
    ) -> Result<Conversation> {
        let (channel, ours, theirs, external_id, user) = match target {
            ConversationTarget::Conversation(id) => return Err(conversation_not_found(*id)),
            ConversationTarget::Pair {
                channel,
                ours,
                theirs,
                user,
            } => (
                channel.of_conversation(),
                ours.to_string(),
                theirs.to_string(),
                None,
                user.clone(),
            ),
            ConversationTarget::Chat { external_id, user } => (
                Channel::Chat,
                String::new(),
                String::new(),
                external_id.clone(),
                user.clone(),
            ),
        };
        let now = tx.now();
        Ok(Conversation {
            id: self.conversation_id(now),
            owner: tx.touched().owner().clone(),
            user,
            channel,
            participant_from: ours,
            participant_to: theirs,
            title: String::new(),
            status: ConversationStatus::Active,
            external_id,
            last_sequence: 0,
            read_sequence: 0,
            message_count: 0,
            unread_count: 0,
            last_message_at: None,
            metadata: Json::default(),
            created_at: now,
            updated_at: now,
            version: 1,
            edit_version: 1,
        })
    }

    /// The sender of an address of ours. An unknown address becomes a sender of the
    /// provider that `open_senders` names.
    pub(crate) async fn sender_of(
        &self,
        tx: &mut Tx,
        channel: Channel,
        address: &str,
    ) -> Result<Sender> {
        let owner = tx.touched().owner().clone();
        let channel = channel.of_conversation();
        let found = if let Some(found) = tx.sender_of_address(channel, address).await? {
            found
        } else {
            let provider = self.settings.open_senders.clone().ok_or_else(no_sender)?;
            let sender = self.new_sender(tx, &owner, channel, address, provider);
            if tx.insert_sender(&sender).await? {
                sender
            } else {
                // Another transaction has just created it.
                tx.sender_of_address(channel, address)
                    .await?
                    .ok_or_else(no_sender)?
            }
        };
        if found.owner == owner {
            Ok(found)
        } else {
            Err(sender_of_another())
        }
    }

    fn new_sender(
        &self,
        tx: &Tx,
        owner: &Owner,
        channel: Channel,
        address: &str,
        provider: String,
    ) -> Sender {
        Sender {
            id: self.sender_id(tx.now()),
            owner: owner.clone(),
            channel,
            address: address.to_owned(),
            provider,
            credentials: String::new(),
            status: SenderStatus::Active,
            segments_per_second: 0,
            default_expiry: None,
            reply_domain: String::new(),
            messaging_service: String::new(),
            created_at: tx.now(),
            updated_at: tx.now(),
            version: 1,
        }
    }
}

/// The conversation after one more message; fails if it is closed.
pub(crate) fn advanced(
    conversation: &Conversation,
    counts_unread: bool,
    arrived_at: parlance_domain::Timestamp,
) -> Result<Conversation> {
    let mut next = conversation.clone();
    match conversation.status.apply(ConversationEvent::MessageAdded) {
        Step::Moved(status) => {
            next.status = status;
            next.edit_version += 1;
        }
        Step::Ignored => {}
        Step::Illegal => return Err(closed(conversation)),
    }
    next.last_sequence += 1;
    next.message_count += 1;
    next.unread_count += i64::from(counts_unread);
    next.last_message_at = Some(
        conversation
            .last_message_at
            .map_or(arrived_at, |last| last.max(arrived_at)),
    );
    Ok(next)
}

pub(crate) fn conversation_not_found(id: ConversationId) -> Error {
    Error::new(Reason::ConversationNotFound, "no such conversation").with("conversation_id", id)
}

pub(crate) fn external_id_taken(by: &Conversation) -> Error {
    Error::new(
        Reason::ExternalIdTaken,
        "another conversation has this external_id",
    )
    .with("conversation_id", by.id)
}

fn closed(conversation: &Conversation) -> Error {
    Error::new(
        Reason::ConversationClosed,
        "the conversation is closed, which is final; a message by addresses opens a new conversation",
    )
    .with("conversation_id", conversation.id)
}

fn no_sender() -> Error {
    Error::new(
        Reason::NoSender,
        "our address of this message is not a sender; create one with CreateSender",
    )
}

fn sender_of_another() -> Error {
    Error::new(
        Reason::SenderOfAnother,
        "this address is another owner's sender",
    )
}
