//! Entities to store, each unlike all others.

use std::sync::atomic::{AtomicU64, Ordering};

use parlance_domain::{
    Attachment, AttachmentId, Channel, Conversation, ConversationId, ConversationStatus, Json,
    Message, MessageId, Owner, Sender, SenderId, SenderStatus, Timestamp,
};

fn next() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&next().to_be_bytes());
    bytes
}

/// A timestamp, in seconds after a fixed start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_700_000_000 + seconds) * 1_000_000)
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

/// An open SMS conversation of a pair of its own.
pub(crate) fn conversation(owner: &Owner) -> Conversation {
    let n = next();
    Conversation {
        id: ConversationId::new(at(0), random()),
        owner: owner.clone(),
        user: "ada".to_owned(),
        channel: Channel::Sms,
        participant_from: "+15550000001".to_owned(),
        participant_to: format!("+1555{n:07}"),
        title: format!("conversation {n}"),
        status: ConversationStatus::Active,
        external_id: None,
        last_sequence: 0,
        read_sequence: 0,
        message_count: 0,
        unread_count: 0,
        last_message_at: None,
        metadata: Json::default(),
        created_at: at(0),
        updated_at: at(0),
        version: 1,
        edit_version: 1,
    }
}

/// The message at the end of the conversation.
pub(crate) fn message(conversation: &Conversation) -> Message {
    Message {
        id: MessageId::new(at(0), random()),
        owner: conversation.owner.clone(),
        conversation_id: conversation.id,
        sequence: conversation.last_sequence,
        channel: conversation.channel,
        from_address: conversation.participant_from.clone(),
        to_address: conversation.participant_to.clone(),
        body: format!("message {}", next()),
        created_at: at(0),
        updated_at: at(0),
        ..parlance_testkit::message()
    }
}

pub(crate) fn sender(owner: &Owner) -> Sender {
    Sender {
        id: SenderId::new(at(0), random()),
        owner: owner.clone(),
        channel: Channel::Sms,
        address: format!("+1666{:07}", next()),
        provider: "simulator".to_owned(),
        credentials: String::new(),
        status: SenderStatus::Active,
        segments_per_second: 0,
        default_expiry: None,
        reply_domain: String::new(),
        messaging_service: String::new(),
        created_at: at(0),
        updated_at: at(0),
        version: 1,
    }
}

pub(crate) fn attachment() -> Attachment {
    Attachment {
        id: AttachmentId::new(at(0), random()),
        filename: "cat.png".to_owned(),
        content_type: "image/png".to_owned(),
        size_bytes: 3,
        url: None,
    }
}
