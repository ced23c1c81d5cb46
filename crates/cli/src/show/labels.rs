//! Labels of enum values. A value of a newer service that this version does not know is shown as its number.

use parlance_proto::v1::{
    Channel, ConversationStatus, Direction, EventType, Message, MessageStatus, Role,
};

use super::table::{Cell, Paint};

pub(crate) fn message_status(number: i32) -> String {
    let name = MessageStatus::try_from(number).map(|status| status.as_str_name());
    label(name.ok(), "MESSAGE_STATUS_", number)
}

pub(super) fn conversation_status(number: i32) -> Cell {
    let status = ConversationStatus::try_from(number).ok();
    let name = status.map(|status| status.as_str_name());
    let paint = match status {
        Some(ConversationStatus::Active) => Paint::Good,
        Some(ConversationStatus::Archived | ConversationStatus::Closed) => Paint::Faint,
        Some(ConversationStatus::Unspecified) | None => Paint::Plain,
    };
    Cell::new(label(name, "CONVERSATION_STATUS_", number)).paint(paint)
}

pub(super) fn channel(number: i32) -> String {
    let name = Channel::try_from(number).map(|channel| channel.as_str_name());
    label(name.ok(), "CHANNEL_", number)
}

pub(super) fn direction(number: i32) -> String {
    let name = Direction::try_from(number).map(|direction| direction.as_str_name());
    label(name.ok(), "DIRECTION_", number).to_lowercase()
}

/// `message status changed`.
pub(super) fn event_type(number: i32) -> String {
    let name = EventType::try_from(number).map(|kind| kind.as_str_name());
    let label = label(name.ok(), "EVENT_TYPE_", number);
    label.to_lowercase().replace('_', " ")
}

/// Arrow for the direction of a message.
pub(super) fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "\u{2192}",
        Direction::Inbound => "\u{2190}",
        Direction::Unspecified => "",
    }
}

/// Author of a message: an address, or in a chat, which has none, the role.
pub(super) fn author(message: &Message) -> String {
    if message.from_address.is_empty() {
        let name = Role::try_from(message.role).map(|role| role.as_str_name());
        return label(name.ok(), "ROLE_", message.role).to_lowercase();
    }
    message.from_address.clone()
}

/// Status of a message in its colour.
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

/// Label of an enum value; empty if it is unspecified.
fn label(name: Option<&str>, prefix: &str, number: i32) -> String {
    match name {
        None => number.to_string(),
        Some(name) => match name.strip_prefix(prefix).unwrap_or(name) {
            "UNSPECIFIED" => String::new(),
            label => label.to_owned(),
        },
    }
}
