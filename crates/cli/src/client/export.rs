//! `parlance export`: all conversations in the format of `parlance import`, the most recently active first.

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
use crate::sessions::{self, Omitted, Transcript, name};
use crate::show::Screen;

/// Page size of both lists: the maximum of the service.
const PAGE: i32 = 200;
/// Number of conversations that are read concurrently.
const CONCURRENCY: usize = 8;

pub(super) async fn run(
    arguments: &Export,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let written = async {
        let written = write(arguments, service, screen).await;
        match (written, &arguments.output) {
            (Err(Failure::System(source)), Some(path)) => Err(unwritable(path, source)),
            // The reader of the pipe has exited.
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
    // When the writer is dropped before it has finished, it removes its temporary file.
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
        omitted: Omitted::default(),
    };
    // A conversation that becomes active while pages are read moves to the top of the list, before the pages that
    // remain. So the list is read again from the top until it has no new conversation.
    while writer.pass(arguments, service).await? {}
    let Writer {
        to,
        omitted,
        seen: _,
    } = writer;
    to.finish()?;
    let Omitted {
        attachments,
        messages,
    } = omitted;
    if attachments > 0 {
        screen.output().note(&format!(
            "omitted {attachments} attachments with content in the service: an export contains attachments with a URL only"
        ));
    }
    if messages > 0 {
        screen.output().note(&format!(
            "omitted {messages} messages that are still to be sent (SCHEDULED, PENDING, SENDING or UNCERTAIN): an imported \
             message is never sent"
        ));
    }
    Ok(())
}

struct Writer {
    to: Target,
    /// Ids of the conversations that are written.
    seen: HashSet<u128>,
    /// Numbers of attachments and messages that were omitted.
    omitted: Omitted,
}

impl Writer {
    /// Writes all conversations that are not written yet. Returns whether there were any.
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
        // Conversations with the same time: their order in the list depends on the database, so they are sorted by name.
        let mut same_time: Vec<Conversation> = Vec::new();
        let mut any = false;
        loop {
            let call = service.call(request.clone());
            let page = service.conversations().list_conversations(call).await?;
            let page = page.into_inner();
            let mut ready = Vec::new();
            let mut new = false;
            for conversation in page.conversations {
                if !self.seen.insert(key(&conversation.id)) {
                    continue;
                }
                new = true;
                if same_time
                    .first()
                    .is_some_and(|first| active_at(first) != active_at(&conversation))
                {
                    ready.extend(by_name(&mut same_time));
                }
                same_time.push(conversation);
            }
            any |= new;
            let is_last = page.next_page_token.is_empty() || !new;
            if is_last {
                ready.extend(by_name(&mut same_time));
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
                Ok::<_, Failure>(Transcript {
                    conversation,
                    messages,
                })
            })
            .buffered(CONCURRENCY);
        while let Some(transcript) = read.next().await {
            let (session, omitted) = sessions::session(transcript?);
            self.omitted += omitted;
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
        let call = service.call(request.clone());
        let page = match service.messages().list_messages(call).await {
            Ok(page) => page.into_inner(),
            // The conversation was deleted meanwhile.
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

fn by_name(same_time: &mut Vec<Conversation>) -> Vec<Conversation> {
    same_time.sort_by(|a, b| name(a).cmp(name(b)));
    std::mem::take(same_time)
}

/// The time by which lists are ordered.
fn active_at(conversation: &Conversation) -> Option<prost_types::Timestamp> {
    conversation.last_message_at.or(conversation.created_at)
}

/// Id as a number: its hexadecimal digits without hyphens.
fn key(id: &str) -> u128 {
    u128::from_str_radix(&id.replace('-', ""), 16).unwrap_or_default()
}

/// Output of the export. A file gets its name only when it is complete.
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
        // A symbolic link is followed and not replaced, as by a shell.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let path = path.as_path();
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            let stream = File::options().write(true).open(path);
            let stream = stream.map_err(|source| unwritable(path, source))?;
            return Ok(Self::Stream(BufWriter::new(Box::new(stream))));
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        // In the folder of the final name, and readable by its owner only: it contains messages of customers.
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
                let persisted = file.persist(&path);
                persisted.map(|_| ()).map_err(|error| failed(error.error))
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
