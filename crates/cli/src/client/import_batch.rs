//! Old conversations on their way to the service: for `import` and `seed`.
//!
//! One call carries many conversations, and its reply says what became of them; then the next call begins. So a refusal is
//! known soon, and by its place, and whoever is cut off has lost the counts of one call. A call ends early when no conversation
//! comes for a moment: a slow pipe must not delay the reply about what has come.

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
use crate::sessions::{Found, Old, Place};

/// Requests of one call: the service names so many that it refuses.
const CALL: usize = 1_000;
/// How long a call waits for the next conversation.
const PAUSE: Duration = Duration::from_millis(200);
/// Messages and bytes of one request; half and a quarter of what the service takes.
const MESSAGES: usize = 500;
const BYTES: usize = 1_024 * 1_024;
/// Requests that wait to be sent.
const WAITING: usize = 16;

/// What became of all.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) conversations: i64,
    pub(super) messages: i64,
    pub(super) skipped: i64,
    pub(super) refused: u64,
}

/// What is wrong, and where.
struct Wrong {
    place: Place,
    why: String,
}

/// Brings all that is found.
pub(super) async fn bring(
    service: &Service,
    mut found: mpsc::Receiver<Found>,
    on_error: OnError,
    progress: &mut Progress,
    output: &mut Output,
) -> Result<Sum, Failure> {
    let mut sum = Sum::default();
    while let Some(first) = found.recv().await {
        let (requests, waiting) = mpsc::channel(WAITING);
        let request = service.stream(ReceiverStream::new(waiting));
        let mut conversations = service.conversations();
        let (reply, (places, mut wrong)) = tokio::join!(
            conversations.import_conversations(request),
            feed(first, &mut found, requests, on_error, (progress, output)),
        );
        let reply = reply.map(Response::into_inner);
        let reply = reply.map_err(|status: Status| Failure::BrokenOff(Box::new(status)))?;
        wrong.extend(refused(&reply, &places));
        sum.conversations += reply.imported_conversations;
        sum.messages += reply.imported_messages;
        sum.skipped += reply.skipped;
        for Wrong { place, why } in wrong {
            sum.refused += 1;
            progress.clear(output);
            if on_error == OnError::Stop {
                return Err(Failure::Stopped { place, why });
            }
            output.note(&format!("{place}: {why}"));
        }
    }
    progress.clear(output);
    Ok(sum)
}

/// Sends what is found until the call has enough; the places of its requests, and what was wrong before it was sent.
async fn feed(
    first: Found,
    found: &mut mpsc::Receiver<Found>,
    requests: mpsc::Sender<ImportConversationsRequest>,
    on_error: OnError,
    (progress, output): (&mut Progress, &mut Output),
) -> (Vec<Place>, Vec<Wrong>) {
    let (mut places, mut wrong) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(Found { place, old }) = next {
        match old {
            Ok(old) => {
                progress.sent(old.messages.len(), output);
                for part in parts(old) {
                    if requests.send(part).await.is_err() {
                        // The call has ended; it says why.
                        return (places, wrong);
                    }
                    places.push(place);
                }
            }
            Err(why) => {
                wrong.push(Wrong { place, why });
                if on_error == OnError::Stop {
                    break;
                }
            }
        }
        if places.len() + wrong.len() >= CALL {
            break;
        }
        next = tokio::time::timeout(PAUSE, found.recv())
            .await
            .unwrap_or_default();
    }
    (places, wrong)
}

/// A conversation in as many requests as it takes.
fn parts(old: Old) -> Vec<ImportConversationsRequest> {
    let Old {
        conversation,
        messages,
    } = old;
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
            last.messages.len() >= MESSAGES || (bytes > 0 && bytes + size > BYTES)
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

/// The same place may be named more than once: a conversation that is refused is refused in all its parts.
fn refused(reply: &ImportConversationsResponse, places: &[Place]) -> Vec<Wrong> {
    let mut wrong: Vec<Wrong> = Vec::new();
    let mut errors: Vec<_> = reply.errors.iter().collect();
    errors.sort_by_key(|error| error.index);
    for error in errors {
        let place = usize::try_from(error.index).ok();
        let Some(place) = place.and_then(|index| places.get(index)) else {
            continue;
        };
        if wrong.last().is_none_or(|last| last.place != *place) {
            wrong.push(Wrong {
                place: *place,
                why: format!(
                    "{}: {} ({})",
                    error.external_id, error.description, error.reason
                ),
            });
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use parlance_proto::v1;

    use super::*;

    fn old(bodies: impl IntoIterator<Item = usize>) -> Old {
        let message = |length| v1::Message {
            body: "x".repeat(length),
            ..v1::Message::default()
        };
        Old {
            conversation: v1::Conversation::default(),
            messages: bodies.into_iter().map(message).collect(),
        }
    }

    fn sizes(old: Old) -> Vec<(i64, usize)> {
        let parts = parts(old).into_iter();
        parts
            .map(|part| (part.offset.unwrap(), part.messages.len()))
            .collect()
    }

    #[test]
    fn a_long_conversation_takes_several_requests() {
        assert_eq!(sizes(old([])), [(0, 0)]);
        assert_eq!(sizes(old([1; 500])), [(0, 500)]);
        assert_eq!(sizes(old([1; 1_001])), [(0, 500), (500, 500), (1_000, 1)]);
        let large = 400 * 1_024;
        assert_eq!(sizes(old([large; 5])), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(sizes(old([3 * BYTES, 1])), [(0, 1), (1, 1)]);
    }
}
