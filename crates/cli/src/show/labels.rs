//! Values of the contract as words. A newer service may say what this version does not know: its number then.

use parlance_proto::v1::{
    Channel, ConversationStatus, Direction, EventType, Message, MessageStatus, Role,
};

use super::table::{Cell, Paint};

pub(crate) fn message_status(number: i32) -> String {
    let name = MessageStatus::try_from(number).map(|status| status.as_str_name());
    word(name.ok(), "MESSAGE_STATUS_", number)
}

pub(super) fn conversation_status(number: i32) -> Cell {
    let status = ConversationStatus::try_from(number).ok();
    let name = status.map(|status| status.as_str_name());
    let paint = match status {
        Some(ConversationStatus::Active) => Paint::Good,
        Some(ConversationStatus::Archived | ConversationStatus::Closed) => Paint::Faint,
        Some(ConversationStatus::Unspecified) | None => Paint::Plain,
    };
    Cell::new(word(name, "CONVERSATION_STATUS_", number)).paint(paint)
}

pub(super) fn channel(number: i32) -> String {
    let name = Channel::try_from(number).map(|channel| channel.as_str_name());
    word(name.ok(), "CHANNEL_", number)
}

pub(super) fn direction(number: i32) -> String {
    let name = Direction::try_from(number).map(|direction| direction.as_str_name());
    word(name.ok(), "DIRECTION_", number).to_lowercase()
}

/// `message status changed`.
pub(super) fn event_type(number: i32) -> String {
    let name = EventType::try_from(number).map(|kind| kind.as_str_name());
    let word = word(name.ok(), "EVENT_TYPE_", number);
    word.to_lowercase().replace('_', " ")
}

/// Away from us or to us.
pub(super) fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "\u{2192}",
        Direction::Inbound => "\u{2190}",
        Direction::Unspecified => "",
    }
}

/// Who speaks: an address, or in chat, which has none, a role.
pub(super) fn speaker(message: &Message) -> String {
    if message.from_address.is_empty() {
        let name = Role::try_from(message.role).map(|role| role.as_str_name());
        return word(name.ok(), "ROLE_", message.role).to_lowercase();
    }
    message.from_address.clone()
}

/// A message's status in its colour.
pub(super) fn status(number: i32) -> Cell {
    let paint = match MessageStatus::try_from(number) {
        Ok(MessageStatus::Delivered | MessageStatus::Read | MessageStatus::Received) => Paint::Good,
        Ok(
            MessageStatus::Scheduled
            | MessageStatus::Pending
            | MessageStatus::Sending
            | MessageStatus::Sent,
        ) => Paint::Busy,
        Ok(
            MessageStatus::Uncertain
            | MessageStatus::Undelivered
            | MessageStatus::Failed
            | MessageStatus::Expired,
        ) => Paint::Bad,
        Ok(MessageStatus::Canceled) => Paint::Faint,
        Ok(MessageStatus::Unspecified) | Err(_) => Paint::Plain,
    };
    Cell::new(message_status(number)).paint(paint)
}

/// What is not set is nothing.
fn word(name: Option<&str>, prefix: &str, number: i32) -> String {
    match name {
        None => number.to_string(),
        Some(name) => match name.strip_prefix(prefix).unwrap_or(name) {
            "UNSPECIFIED" => String::new(),
            word => word.to_owned(),
        },
    }
}
