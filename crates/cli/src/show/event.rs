//! Output of events, one line each. The columns are aligned although each line is printed alone.

use parlance_proto::v1::{Conversation, Event, Message};

use super::table::{Cell, Paint, Table};
use super::{conversation, labels, message, time};

const TYPE_WIDTH: usize = "message status changed".len();

pub(crate) fn lines(events: &[Event]) -> Table {
    let mut table = Table::default();
    for event in events {
        table.row(cells(event));
    }
    table
}

fn cells(event: &Event) -> [Cell; 7] {
    let kind = labels::event_type(event.r#type);
    let none = Cell::new("");
    let (arrow, status, parties, text) = match (&event.message, &event.conversation) {
        (Some(message), _) => of_message(message),
        (None, Some(conversation)) => of_conversation(conversation),
        (None, None) => (none.clone(), none.clone(), none.clone(), none),
    };
    let id = match event.message_id.as_str() {
        "" => &event.conversation_id,
        id => id,
    };
    [
        time::clock(event.time).paint(Paint::Faint),
        Cell::new(kind).at_least(TYPE_WIDTH),
        arrow.at_least(1),
        status.at_least(message::STATUS_WIDTH),
        Cell::new(id),
        parties,
        text,
    ]
}

fn of_message(message: &Message) -> (Cell, Cell, Cell, Cell) {
    let parties = match message.to_address.as_str() {
        "" => labels::author(message),
        to => format!("{} \u{2192} {to}", message.from_address),
    };
    (
        Cell::new(labels::arrow(message.direction())),
        labels::status(message.status),
        Cell::new(parties),
        message::text(message).at_most(message::MAX_TEXT),
    )
}

fn of_conversation(subject: &Conversation) -> (Cell, Cell, Cell, Cell) {
    let with = conversation::with(subject);
    let parties = match subject.participant_from.as_str() {
        "" => with.to_owned(),
        from => format!("{from} \u{2194} {with}"),
    };
    (
        Cell::new(""),
        labels::conversation_status(subject.status),
        Cell::new(parties),
        Cell::new(&subject.title),
    )
}
