//! Output of delivery events.

use parlance_proto::v1::ListMessageEventsResponse;

use super::table::{Cell, Paint, Table};
use super::{labels, time};

/// Lines that follow the details of the message; none if it has no events.
pub(crate) fn lines(replies: &[ListMessageEventsResponse]) -> Table {
    let mut table = Table::default();
    for event in replies.iter().flat_map(|reply| &reply.events) {
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
