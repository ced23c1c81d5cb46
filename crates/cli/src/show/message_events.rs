//! What happened to a message.

use parlance_proto::v1::ListMessageEventsResponse;

use super::table::{Cell, Paint, Table};
use super::{labels, time};

/// Below the message itself; nothing where nothing happened.
pub(crate) fn lines(stories: &[ListMessageEventsResponse]) -> Table {
    let mut table = Table::default();
    for event in stories.iter().flat_map(|story| &story.events) {
        let kind = match event.attempt {
            0 => event.kind.clone(),
            attempt => format!("{} {attempt}", event.kind),
        };
        table.row([
            Cell::new("").at_least("conversation".len()),
            time::clock(event.time).paint(Paint::Faint),
            Cell::new(kind),
            labels::status(event.status),
            Cell::new(&event.provider),
            Cell::new(&event.detail),
        ]);
    }
    table
}
