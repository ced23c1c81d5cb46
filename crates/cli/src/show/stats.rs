//! Output of statistics.

use parlance_proto::v1::Stats;

use super::labels;
use super::table::{Cell, Paint, Table};

/// The totals, followed by the number of messages by channel, direction and status.
pub(crate) fn lines(all: &[Stats]) -> Table {
    let mut table = Table::default();
    for stats in all {
        let sums = [
            ("conversations", stats.conversation_count),
            ("active", stats.active_conversation_count),
            ("messages", stats.message_count),
            ("unread", stats.unread_count),
            ("tokens used", stats.tokens_used),
        ];
        for (name, number) in sums {
            table.row([
                Cell::new(name).paint(Paint::Faint),
                Cell::new(number.to_string()),
            ]);
        }
        for by in &stats.messages_by {
            table.row([
                Cell::new(""),
                Cell::new(by.count.to_string()),
                Cell::new(labels::channel(by.channel)),
                Cell::new(labels::direction(by.direction)),
                labels::status(by.status),
            ]);
        }
    }
    table
}
