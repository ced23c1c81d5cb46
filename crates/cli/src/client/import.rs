//! `parlance import`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::import_batch::{Sum, bring};
use super::progress::Progress;
use super::service::Service;
use crate::arguments::Import;
use crate::failure::Failure;
use crate::sessions::{Found, read_all};
use crate::show::Screen;

/// Sessions that are read ahead.
const AHEAD: usize = 64;

pub(super) async fn run(
    arguments: &Import,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let unreadable = |source| Failure::Unreadable {
        path: arguments.file.clone(),
        source,
    };
    let (source, size) = opened(&arguments.file).map_err(unreadable)?;
    let done = Arc::new(AtomicU64::new(0));
    let source = Counted {
        source,
        done: Arc::clone(&done),
    };
    let (sender, found) = mpsc::channel(AHEAD);
    let (format, user) = (arguments.format, arguments.user.clone());
    let reading = tokio::task::spawn_blocking(move || {
        read_all(source, format, |found| {
            sender
                .blocking_send(with_user(found, user.as_deref()))
                .is_ok()
        })
    });
    let mut progress = Progress::new(size, done);
    let output = screen.output();
    let sum = bring(service, found, arguments.on_error, &mut progress, output).await?;
    // What was read before is there, whatever comes of the rest.
    let read = reading
        .await
        .map_err(io::Error::other)
        .map_err(unreadable)?;
    told(&sum, arguments.caller.json, screen);
    read.map_err(unreadable)
}

/// What became of all, in one line.
pub(super) fn told(sum: &Sum, json: bool, screen: &mut Screen<'_>) {
    let Sum {
        conversations,
        messages,
        skipped,
        refused,
    } = sum;
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
        "imported {conversations} conversations and {messages} messages; {skipped} messages were there already; \
         {refused} sessions were refused"
    ));
}

/// The file, or what comes in; and how much there is of it.
fn opened(path: &Path) -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    let size = about.is_file().then_some(about.len());
    Ok((Box::new(file), size))
}

/// A session that names no user belongs to whom the command names.
fn with_user(mut found: Found, user: Option<&str>) -> Found {
    if let (Ok(old), Some(user)) = (&mut found.old, user)
        && old.conversation.user.is_empty()
    {
        user.clone_into(&mut old.conversation.user);
    }
    found
}

/// Counts what is read.
struct Counted {
    source: Box<dyn Read + Send>,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or_default();
        self.done.fetch_add(bytes, Ordering::Relaxed);
        Ok(read)
    }
}
