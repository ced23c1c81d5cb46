//! Output of messages.

use parlance_proto::v1::{Attachment, Message, MessageError};

use super::table::{Cell, Paint, Table};
use super::{labels, time};

/// Length limit of the text in a list; `get` shows the whole text.
pub(super) const MAX_TEXT: usize = 72;
pub(super) const STATUS_WIDTH: usize = "UNDELIVERED".len();

/// Table with a row for each message.
pub(crate) fn table(messages: &[Message]) -> Table {
    let mut table = Table::with_head(["#", "TIME (UTC)", "", "STATUS", "FROM", "ID", "TEXT"]);
    for message in messages {
        table.row([
            Cell::new(message.sequence.to_string()).paint(Paint::Faint),
            time::date(message.created_at),
            Cell::new(labels::arrow(message.direction())),
            labels::status(message.status),
            Cell::new(labels::author(message)),
            Cell::new(&message.id).paint(Paint::Faint),
            text(message).at_most(MAX_TEXT),
        ]);
    }
    table
}

/// Ids and status of a message after it was sent.
pub(crate) fn sent(messages: &[Message]) -> Table {
    let mut table = Table::default();
    for message in messages {
        table.row([name("message"), Cell::new(&message.id)]);
        table.row([name("conversation"), Cell::new(&message.conversation_id)]);
        table.row([
            name("status"),
            labels::status(message.status).at_least(STATUS_WIDTH),
            time::clock(message.updated_at).paint(Paint::Faint),
        ]);
    }
    table
}

/// The next status of a message.
pub(crate) fn step(messages: &[Message]) -> Table {
    let mut table = Table::default();
    for message in messages {
        table.row([
            name("").at_least("conversation".len()),
            labels::status(message.status).at_least(STATUS_WIDTH),
            time::clock(message.updated_at).paint(Paint::Faint),
        ]);
    }
    table
}

/// Details of each message.
pub(crate) fn card(messages: &[Message]) -> Table {
    let mut table = Table::default();
    for message in messages {
        let mut line = |key: &str, cell: Cell| {
            if !cell.is_empty() {
                table.row([name(key), cell]);
            }
        };
        let arrow = labels::arrow(message.direction());
        let channel = labels::channel(message.channel);
        line("message", Cell::new(&message.id));
        line("conversation", Cell::new(&message.conversation_id));
        line("number", Cell::new(message.sequence.to_string()));
        line("channel", Cell::new(format!("{channel} {arrow}")));
        line("status", labels::status(message.status));
        line(
            "error",
            Cell::new(message.error.as_ref().map(error).unwrap_or_default()).paint(Paint::Bad),
        );
        line("from", Cell::new(labels::author(message)));
        line("to", Cell::new(&message.to_address));
        line("cc", Cell::new(message.cc_addresses.join(", ")));
        line("subject", Cell::new(&message.subject));
        for (n, text) in message.body.lines().enumerate() {
            line(if n == 0 { "text" } else { "" }, Cell::new(text));
        }
        for attachment in &message.attachments {
            line("attachment", Cell::new(file(attachment)));
        }
        line(
            "provider",
            Cell::new(format!(
                "{} {}",
                message.provider, message.provider_message_id
            )),
        );
        line("send at", time::full(message.send_at));
        line("expires", time::full(message.expires_at));
        line("created", time::full(message.created_at));
        line("sent", time::full(message.sent_at));
        line("delivered", time::full(message.delivered_at));
        line("read", time::full(message.read_at));
    }
    table
}

/// Text of a message in a list; an email begins with its subject.
pub(super) fn text(message: &Message) -> Cell {
    match (message.subject.as_str(), message.body.as_str()) {
        ("", body) => Cell::new(body),
        (subject, body) => Cell::new(format!("{subject}: {body}")),
    }
}

fn name(name: &str) -> Cell {
    Cell::new(name).paint(Paint::Faint)
}

fn error(error: &MessageError) -> String {
    let MessageError {
        code,
        message,
        provider_code,
    } = error;
    match provider_code.as_str() {
        "" => format!("{code}: {message}"),
        provider_code => format!("{code}: {message} ({provider_code})"),
    }
}

fn file(attachment: &Attachment) -> String {
    let Attachment {
        id: _,
        filename,
        content_type,
        size_bytes,
        url,
    } = attachment;
    format!("{filename} {content_type} {size_bytes} bytes {url}")
}
