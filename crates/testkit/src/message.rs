//! The message that tests start from.

use parlance_domain::message::Progress;
use parlance_domain::{
    Channel, ConversationId, DeliveryPolicy, Direction, Json, Message, MessageId, Owner, Timestamp,
};

/// A pending outbound text message without content. A test replaces the fields that it depends on, so a new field of a
/// message gets its value here, for all tests.
pub fn message() -> Message {
    let time = Timestamp::from_micros(1_700_000_000_000_000);
    Message {
        id: MessageId::new(time, [1; 10]),
        owner: Owner::default(),
        conversation_id: ConversationId::new(time, [2; 10]),
        sequence: 1,
        channel: Channel::Sms,
        direction: Direction::Outbound,
        role: None,
        from_address: "+15550001111".to_owned(),
        to_address: "+15550002222".to_owned(),
        cc_addresses: Vec::new(),
        subject: String::new(),
        body: String::new(),
        html_body: String::new(),
        quoted_body: String::new(),
        attachments: Vec::new(),
        provider: None,
        provider_message_id: None,
        progress: Progress::pending(),
        segments: 1,
        tokens_used: None,
        latency_ms: None,
        metadata: Json::default(),
        policy: DeliveryPolicy::AtLeastOnce,
        counts_unread: false,
        send_at: None,
        expires_at: None,
        created_at: time,
        updated_at: time,
        version: 1,
        edit_version: 1,
    }
}
