//! `parlance export`: every conversation as `parlance import` reads it, those last active first.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt as _};
use parlance_proto::v1::{
    Channel, Conversation, ListConversationsRequest, ListMessagesRequest, Message,
};
use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};

use super::service::Service;
use crate::arguments::Export;
use crate::failure::Failure;
use crate::sessions::{self, Old, name};
use crate::show::Screen;

/// What the service puts on one page, of either.
const PAGE: i32 = 200;
/// Conversations whose messages are read at once.
const AT_ONCE: usize = 8;

pub(super) async fn run(
    arguments: &Export,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let written = async {
        let written = write(arguments, service, screen).await;
        match (written, &arguments.output) {
            (Err(Failure::System(source)), Some(path)) => Err(unwritable(path, source)),
            // The reader of the pipe has ended.
            (Err(Failure::System(error)), None) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(())
            }
            (Err(Failure::System(error)), None) => Err(Failure::Output(error)),
            (written, _) => written,
        }
    };
    let Some(path) = &arguments.output else {
        return written.await;
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Dropped in the middle, the writer removes its temporary file.
    let interrupted = tokio::select! {
        written = written => return written,
        _ = interrupt.recv() => path,
        _ = terminate.recv() => path,
    };
    Err(Failure::Interrupted {
        path: interrupted.clone(),
    })
}

async fn write(
    arguments: &Export,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut writer = Writer {
        to: Target::open(arguments.output.as_deref())?,
        seen: HashSet::new(),
        left: 0,
    };
    // Whoever becomes active while pages are read is beyond them: once more from the top, until nobody is new there.
    while writer.pass(arguments, service).await? {}
    let Writer { to, left, seen: _ } = writer;
    to.finish()?;
    if left > 0 {
        screen.output().note(&format!(
            "{left} attachments are left out: the service has their content, and an export has none"
        ));
    }
    Ok(())
}

struct Writer {
    to: Target,
    /// Ids of those that are written.
    seen: HashSet<u128>,
    left: usize,
}

impl Writer {
    /// Writes everything that is not written yet; whether there was something.
    async fn pass(&mut self, arguments: &Export, service: &Service) -> Result<bool, Failure> {
        let mut request = ListConversationsRequest {
            user: arguments.user.clone().unwrap_or_default(),
            channel: arguments
                .channel
                .map_or(Channel::Unspecified, Channel::from)
                .into(),
            page_size: PAGE,
            ..ListConversationsRequest::default()
        };
        // Of the same moment: they are in no order that another database would have, too.
        let mut together: Vec<Conversation> = Vec::new();
        let mut any = false;
        loop {
            let asked = service.call(request.clone());
            let page = service.conversations().list_conversations(asked).await?;
            let page = page.into_inner();
            let mut ready = Vec::new();
            let mut new = false;
            for conversation in page.conversations {
                if !self.seen.insert(key(&conversation.id)) {
                    continue;
                }
                new = true;
                if together
                    .first()
                    .is_some_and(|first| active_at(first) != active_at(&conversation))
                {
                    ready.extend(by_name(&mut together));
                }
                together.push(conversation);
            }
            any |= new;
            let is_last = page.next_page_token.is_empty() || !new;
            if is_last {
                ready.extend(by_name(&mut together));
            }
            self.write(ready, service).await?;
            if is_last {
                return Ok(any);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn write(&mut self, ready: Vec<Conversation>, service: &Service) -> Result<(), Failure> {
        let mut read = stream::iter(ready)
            .map(async |conversation: Conversation| {
                let messages = messages(&conversation.id, service).await?;
                Ok::<_, Failure>(Old {
                    conversation,
                    messages,
                })
            })
            .buffered(AT_ONCE);
        while let Some(old) = read.next().await {
            let (session, left) = sessions::session(old?);
            self.left += left;
            let line = serde_json::to_string(&session);
            let line = line.map_err(|error| Failure::Json(error.to_string()))?;
            self.to.line(&line)?;
        }
        Ok(())
    }
}

async fn messages(conversation_id: &str, service: &Service) -> Result<Vec<Message>, Failure> {
    let mut request = ListMessagesRequest {
        conversation_id: conversation_id.to_owned(),
        page_size: PAGE,
        oldest_first: true,
        ..ListMessagesRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let asked = service.call(request.clone());
        let page = match service.messages().list_messages(asked).await {
            Ok(page) => page.into_inner(),
            // It was deleted just now.
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(all),
            Err(status) => return Err(status.into()),
        };
        all.extend(page.messages);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

fn by_name(together: &mut Vec<Conversation>) -> Vec<Conversation> {
    together.sort_by(|a, b| name(a).cmp(name(b)));
    std::mem::take(together)
}

/// What lists are ordered by.
fn active_at(conversation: &Conversation) -> Option<prost_types::Timestamp> {
    conversation.last_message_at.or(conversation.created_at)
}

/// An id without its hyphens is a number.
fn key(id: &str) -> u128 {
    u128::from_str_radix(&id.replace('-', ""), 16).unwrap_or_default()
}

/// Where lines go: a file is there only when it is whole.
enum Target {
    /// Standard output, a device or a pipe.
    Stream(BufWriter<Box<dyn Write>>),
    File {
        to: BufWriter<NamedTempFile>,
        path: PathBuf,
    },
}

impl Target {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Stream(BufWriter::new(Box::new(io::stdout()))));
        };
        // A link stays a link, as it does for a shell.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let path = path.as_path();
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let stream = File::options().write(true).open(path);
            let stream = stream.map_err(|source| unwritable(path, source))?;
            return Ok(Self::Stream(BufWriter::new(Box::new(stream))));
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        // Beside its final name, and readable by its owner alone: it holds what customers wrote.
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let file = file.map_err(|source| unwritable(path, source))?;
        Ok(Self::File {
            to: BufWriter::new(file),
            path: path.to_owned(),
        })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let to: &mut dyn Write = match self {
            Self::Stream(to) => to,
            Self::File { to, .. } => to,
        };
        writeln!(to, "{line}")
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stream(mut to) => Ok(to.flush()?),
            Self::File { to, path } => {
                let failed = |source| unwritable(&path, source);
                let file = to
                    .into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                file.as_file().sync_all().map_err(failed)?;
                let kept = file.persist(&path);
                kept.map(|_| ()).map_err(|error| failed(error.error))
            }
        }
    }
}

fn unwritable(path: &Path, source: io::Error) -> Failure {
    Failure::Unwritable {
        path: path.to_owned(),
        source,
    }
}
