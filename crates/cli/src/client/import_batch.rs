//! Import of conversations into the service, for `import` and `seed`.
//!
//! One call carries many conversations, and its reply reports their results; then the next call begins. So errors are
//! reported soon and with their position, and a lost connection loses the counts of one call only. A call ends early
//! when no conversation arrives for a short time: a slow pipe must not delay the results of what it has sent.

use std::time::Duration;

use parlance_proto::v1::{ImportConversationsRequest, ImportConversationsResponse};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::progress::Progress;
use super::service::Service;
use crate::arguments::OnError;
use crate::failure::Failure;
use crate::output::Output;
use crate::sessions::{Position, SessionRecord, Transcript};

/// Maximum number of requests per call: the service reports at most so many errors.
const MAX_REQUESTS: usize = 1_000;
/// How long a call waits for the next conversation.
const IDLE_TIMEOUT: Duration = Duration::from_millis(200);
/// Maximum number of messages and bytes per request: half and a quarter of the limits of the service.
const MAX_MESSAGES: usize = 500;
const MAX_BYTES: usize = 1_024 * 1_024;
/// Number of requests that wait to be sent.
const QUEUE_LENGTH: usize = 16;

/// Totals of an import.
#[derive(Debug, Default)]
pub(super) struct ImportTotals {
    pub(super) conversations: i64,
    pub(super) messages: i64,
    pub(super) skipped: i64,
    pub(super) refused: u64,
}

/// Session that was rejected.
struct Rejected {
    position: Position,
    reason: String,
}

/// Imports all sessions of the channel.
pub(super) async fn import_all(
    service: &Service,
    mut sessions: mpsc::Receiver<SessionRecord>,
    on_error: OnError,
    progress: &mut Progress,
    output: &mut Output,
) -> Result<ImportTotals, Failure> {
    let mut totals = ImportTotals::default();
    while let Some(first) = sessions.recv().await {
        let (requests, waiting) = mpsc::channel(QUEUE_LENGTH);
        let request = service.stream(ReceiverStream::new(waiting));
        let mut conversations = service.conversations();
        let (reply, (positions, mut rejected)) = tokio::join!(
            conversations.import_conversations(request),
            send_requests(first, &mut sessions, requests, on_error, (progress, output)),
        );
        let reply = reply.map(Response::into_inner);
        let reply = reply.map_err(|status: Status| Failure::ImportInterrupted(Box::new(status)))?;
        rejected.extend(rejected_by_service(&reply, &positions));
        totals.conversations += reply.imported_conversations;
        totals.messages += reply.imported_messages;
        totals.skipped += reply.skipped;
        for Rejected { position, reason } in rejected {
            totals.refused += 1;
            progress.clear(output);
            if on_error == OnError::Stop {
                return Err(Failure::SessionRejected { position, reason });
            }
            output.note(&format!("{position}: {reason}"));
        }
    }
    progress.clear(output);
    Ok(totals)
}

/// Sends sessions until the call has enough requests. Returns the positions of its requests, and the sessions that were
/// invalid and not sent.
async fn send_requests(
    first: SessionRecord,
    sessions: &mut mpsc::Receiver<SessionRecord>,
    requests: mpsc::Sender<ImportConversationsRequest>,
    on_error: OnError,
    (progress, output): (&mut Progress, &mut Output),
) -> (Vec<Position>, Vec<Rejected>) {
    let (mut positions, mut rejected) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(SessionRecord {
        position,
        transcript,
    }) = next
    {
        match transcript {
            Ok(transcript) => {
                progress.sent(transcript.messages.len(), output);
                for part in split(transcript) {
                    if requests.send(part).await.is_err() {
                        // The call has ended, and its status has the reason.
                        return (positions, rejected);
                    }
                    positions.push(position);
                }
            }
            Err(reason) => {
                rejected.push(Rejected { position, reason });
                if on_error == OnError::Stop {
                    break;
                }
            }
        }
        if positions.len() + rejected.len() >= MAX_REQUESTS {
            break;
        }
        next = tokio::time::timeout(IDLE_TIMEOUT, sessions.recv())
            .await
            .unwrap_or_default();
    }
    (positions, rejected)
}

/// Splits a conversation into as many requests as necessary.
fn split(transcript: Transcript) -> Vec<ImportConversationsRequest> {
    let Transcript {
        conversation,
        messages,
    } = transcript;
    let part = |offset| ImportConversationsRequest {
        conversation: Some(conversation.clone()),
        messages: Vec::new(),
        offset: Some(offset),
    };
    let mut parts = vec![part(0)];
    let (mut offset, mut bytes) = (0, 0);
    for message in messages {
        let size = message.encoded_len();
        let is_full = |last: &ImportConversationsRequest| {
            last.messages.len() >= MAX_MESSAGES || (bytes > 0 && bytes + size > MAX_BYTES)
        };
        if parts.last().is_none_or(is_full) {
            parts.push(part(offset));
            bytes = 0;
        }
        if let Some(last) = parts.last_mut() {
            last.messages.push(message);
        }
        offset += 1;
        bytes += size;
    }
    parts
}

/// Returns the sessions that the service has rejected, each once: a conversation is rejected in all its parts.
fn rejected_by_service(
    reply: &ImportConversationsResponse,
    positions: &[Position],
) -> Vec<Rejected> {
    let mut rejected: Vec<Rejected> = Vec::new();
    let mut errors: Vec<_> = reply.errors.iter().collect();
    errors.sort_by_key(|error| error.index);
    for error in errors {
        let index = usize::try_from(error.index).ok();
        let Some(position) = index.and_then(|index| positions.get(index)) else {
            continue;
        };
        if rejected
            .last()
            .is_none_or(|last| last.position != *position)
        {
            rejected.push(Rejected {
                position: *position,
                reason: format!(
                    "{}: {} ({})",
                    error.external_id, error.description, error.reason
                ),
            });
        }
    }
    rejected
}

#[cfg(test)]
mod tests {
    use parlance_proto::v1;

    use super::*;

    fn transcript(bodies: impl IntoIterator<Item = usize>) -> Transcript {
        let message = |length| v1::Message {
            body: "x".repeat(length),
            ..v1::Message::default()
        };
        Transcript {
            conversation: v1::Conversation::default(),
            messages: bodies.into_iter().map(message).collect(),
        }
    }

    fn sizes(transcript: Transcript) -> Vec<(i64, usize)> {
        let parts = split(transcript).into_iter();
        parts
            .map(|part| (part.offset.unwrap(), part.messages.len()))
            .collect()
    }

    #[test]
    fn a_long_conversation_takes_several_requests() {
        assert_eq!(sizes(transcript([])), [(0, 0)]);
        assert_eq!(sizes(transcript([1; 500])), [(0, 500)]);
        assert_eq!(
            sizes(transcript([1; 1_001])),
            [(0, 500), (500, 500), (1_000, 1)]
        );
        let large = 400 * 1_024;
        assert_eq!(sizes(transcript([large; 5])), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(sizes(transcript([3 * MAX_BYTES, 1])), [(0, 1), (1, 1)]);
    }
}
