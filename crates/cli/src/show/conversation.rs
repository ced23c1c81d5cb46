//! Output of conversations.

use parlance_proto::v1::{Channel, Conversation};

use super::table::{Cell, Paint, Table};
use super::{labels, time};

/// Table with a row for each conversation.
pub(crate) fn table(conversations: &[Conversation]) -> Table {
    let mut table = Table::with_head([
        "ID",
        "CHANNEL",
        "STATUS",
        "FROM",
        "WITH",
        "USER",
        "MESSAGES",
        "UNREAD",
        "LAST (UTC)",
    ]);
    for conversation in conversations {
        let unread = match conversation.unread_count {
            0 => Paint::Faint,
            _ => Paint::Busy,
        };
        table.row([
            Cell::new(&conversation.id),
            Cell::new(labels::channel(conversation.channel)),
            labels::conversation_status(conversation.status),
            Cell::new(&conversation.participant_from),
            Cell::new(with(conversation)),
            Cell::new(&conversation.user),
            Cell::new(conversation.message_count.to_string()),
            Cell::new(conversation.unread_count.to_string()).paint(unread),
            time::date(conversation.last_message_at),
        ]);
    }
    table
}

/// Details of each conversation.
pub(crate) fn card(conversations: &[Conversation]) -> Table {
    let mut table = Table::default();
    for conversation in conversations {
        let mut line = |name: &str, cell: Cell| {
            if !cell.is_empty() {
                table.row([Cell::new(name).paint(Paint::Faint), cell]);
            }
        };
        line("conversation", Cell::new(&conversation.id));
        line("channel", Cell::new(labels::channel(conversation.channel)));
        line("status", labels::conversation_status(conversation.status));
        line("from", Cell::new(&conversation.participant_from));
        line("with", Cell::new(&conversation.participant_to));
        line("external id", Cell::new(&conversation.external_id));
        line("user", Cell::new(&conversation.user));
        line("title", Cell::new(&conversation.title));
        line(
            "messages",
            Cell::new(conversation.message_count.to_string()),
        );
        line("unread", Cell::new(conversation.unread_count.to_string()));
        line("last", time::full(conversation.last_message_at));
        line("created", time::full(conversation.created_at));
    }
    table
}

/// The other side: an address, or for a chat, which has none, the external id.
pub(super) fn with(conversation: &Conversation) -> &str {
    if conversation.channel() == Channel::Chat {
        return &conversation.external_id;
    }
    &conversation.participant_to
}
