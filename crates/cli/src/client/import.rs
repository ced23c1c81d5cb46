//! `parlance import`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::import_batch::{ImportTotals, import_all};
use super::progress::Progress;
use super::service::Service;
use crate::arguments::Import;
use crate::failure::Failure;
use crate::sessions::{SessionRecord, read_all};
use crate::show::Screen;

/// Number of sessions that are read ahead.
const READ_AHEAD: usize = 64;

pub(super) async fn run(
    arguments: &Import,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let unreadable = |source| Failure::Unreadable {
        path: arguments.file.clone(),
        source,
    };
    let (source, size) = open(&arguments.file).map_err(unreadable)?;
    let done = Arc::new(AtomicU64::new(0));
    let source = CountingReader {
        source,
        done: Arc::clone(&done),
    };
    let (sender, sessions) = mpsc::channel(READ_AHEAD);
    let (format, user) = (arguments.format, arguments.user.clone());
    let reading = tokio::task::spawn_blocking(move || {
        read_all(source, format, |session| {
            sender
                .blocking_send(with_user(session, user.as_deref()))
                .is_ok()
        })
    });
    let mut progress = Progress::new(size, done);
    let output = screen.output();
    let totals = import_all(service, sessions, arguments.on_error, &mut progress, output).await?;
    // The totals are printed before a read error: the sessions before it are imported.
    let read = reading
        .await
        .map_err(io::Error::other)
        .map_err(unreadable)?;
    print_totals(&totals, arguments.caller.json, screen);
    read.map_err(unreadable)
}

/// Prints the totals of an import in one line.
pub(super) fn print_totals(totals: &ImportTotals, json: bool, screen: &mut Screen<'_>) {
    let ImportTotals {
        conversations,
        messages,
        skipped,
        refused,
    } = totals;
    let output = screen.output();
    if json {
        output.line(serde_json::json!({
            "importedConversations": conversations,
            "importedMessages": messages,
            "skipped": skipped,
            "refused": refused,
        }));
        return;
    }
    output.line(format!(
        "imported {conversations} conversations and {messages} messages; skipped {skipped} existing messages; \
         rejected {refused} sessions"
    ));
}

/// Opens the file, or stdin for `-`. Also returns its size if it is known.
fn open(path: &Path) -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    let size = about.is_file().then_some(about.len());
    Ok((Box::new(file), size))
}

/// Sets the user of a session that has none.
fn with_user(mut session: SessionRecord, user: Option<&str>) -> SessionRecord {
    if let (Ok(transcript), Some(user)) = (&mut session.transcript, user)
        && transcript.conversation.user.is_empty()
    {
        user.clone_into(&mut transcript.conversation.user);
    }
    session
}

/// Reader that counts the bytes that were read.
struct CountingReader {
    source: Box<dyn Read + Send>,
    done: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or_default();
        self.done.fetch_add(bytes, Ordering::Relaxed);
        Ok(read)
    }
}
