//! The service is killed during deliveries: every message is delivered all the same, and its events record every
//! attempt.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use parlance_proto::v1::{self, MessageStatus};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, sms};
use parlance_tests::{Caller, Kind, Rpc, SOON, Service};

use crate::disconnected_clients::RowLock;

const CONVERSATIONS: usize = 50;
const EACH: usize = 20;
/// Longer than the lease of a delivery that the killed process had claimed.
const LEASES: Duration = Duration::from_mins(3);

/// Makes many calls concurrently; returns the replies in the order of the requests.
async fn call_all<R: Rpc>(caller: &Caller, requests: Vec<R>) -> Vec<R::Reply> {
    let calls = requests
        .into_iter()
        .map(|request| caller.ok_retrying(request));
    stream::iter(calls).buffered(64).collect().await
}

/// A sender and many recipients. The sender is paused, so that no message is sent before all are acknowledged.
async fn pairs(caller: &Caller) -> Vec<Pair> {
    let first = caller.pair().await;
    let others = std::iter::repeat_with(|| Pair {
        theirs: make::phone(),
        ..first.clone()
    });
    others.take(CONVERSATIONS).collect()
}

async fn activate_sender(caller: &Caller) {
    let sender = caller.ok(v1::ListSendersRequest::default()).await;
    let sender = v1::Sender {
        id: sender.senders[0].id.clone(),
        status: v1::SenderStatus::Active.into(),
        ..Default::default()
    };
    let update_mask = make::mask(&["status"]);
    caller
        .ok(v1::UpdateSenderRequest {
            sender: Some(sender),
            update_mask,
        })
        .await;
}

/// Ids of the delivered messages.
async fn delivered(caller: &Caller, ids: &[String]) -> HashSet<String> {
    let some = ids
        .chunks(100)
        .map(|ids| v1::BatchGetMessagesRequest { ids: ids.to_vec() });
    let found = call_all(caller, some.collect()).await;
    let messages: Vec<v1::Message> = found.into_iter().flat_map(|found| found.messages).collect();
    assert_eq!(messages.len(), ids.len(), "every message is stored");
    let delivered = messages
        .into_iter()
        .filter(|message| message.status() == MessageStatus::Delivered);
    delivered.map(|message| message.id).collect()
}

/// Checks the attempts among the events of a message: each attempt is recorded once, and all but the last were lost.
/// Returns the events if they are wrong.
fn wrong_attempts(events: &[v1::MessageEvent]) -> Option<String> {
    let mut attempts: Vec<&v1::MessageEvent> = events
        .iter()
        .filter(|event| event.kind == "attempt")
        .collect();
    attempts.sort_by_key(|event| event.attempt);
    let each_once = (1..)
        .zip(&attempts)
        .all(|(number, event)| event.attempt == number);
    let lost = |event: &&v1::MessageEvent| event.detail.contains("its worker was lost");
    let valid = match attempts.split_last() {
        Some((last, before)) => each_once && before.iter().all(lost) && !lost(last),
        None => false,
    };
    (!valid).then(|| format!("{events:#?}"))
}

/// How the outcome writer of the killed process behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutcomeWriter {
    /// Writes outcomes at once.
    Writes,
    /// Waits for a row that another connection has locked, so that reports are stored before outcomes.
    Waits,
}

async fn killed_during_deliveries(kind: Kind, writer: OutcomeWriter) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let pairs = pairs(&caller).await;
    let sends = (0..CONVERSATIONS * EACH).map(|n| sms(&pairs[n % CONVERSATIONS], &n.to_string()));
    let sent = call_all(&caller, sends.collect()).await;
    let ids: Vec<String> = sent.iter().map(|message| message.id.clone()).collect();

    let row_lock = match writer {
        OutcomeWriter::Waits => Some(lock_first(&service, &sent).await),
        OutcomeWriter::Writes => None,
    };
    activate_sender(&caller).await;
    // Only the first messages of each conversation: reading all would take longer than their delivery.
    let first = &ids[..2 * CONVERSATIONS];
    let before = eventually(SOON, async || {
        let delivered = delivered(&caller, first).await;
        (delivered.len() >= CONVERSATIONS / 2).then_some(delivered)
    })
    .await;
    service.kill9();
    if let Some(row_lock) = row_lock {
        row_lock.release().await;
    }

    service.start_again().await;
    let caller = Caller::as_owner(&service, caller.owner());
    eventually(LEASES, async || {
        (delivered(&caller, &ids).await.len() == ids.len()).then_some(())
    })
    .await;

    let seen = pairs.iter().map(|pair| make::list_sent(&pair.theirs));
    let seen = call_all(&caller, seen.collect()).await;
    let again: HashSet<String> = seen
        .into_iter()
        .flat_map(|seen| seen.messages)
        .map(|message| message.message_id)
        .collect();
    assert!(
        again.len() >= 2 * CONVERSATIONS,
        "the service was killed too late: {} messages were left",
        again.len()
    );
    assert!(
        again.is_disjoint(&before),
        "a delivered message is not sent again"
    );

    let events = call_all(
        &caller,
        ids.iter().map(|id| make::list_message_events(id)).collect(),
    )
    .await;
    let wrong: Vec<String> = ids
        .iter()
        .zip(&events)
        .filter_map(|(id, events)| Some(format!("{id}: {}", wrong_attempts(&events.events)?)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} messages have wrong events: {}",
        wrong.len(),
        wrong.join("\n")
    );
    let superseded = |event: &v1::MessageEvent| event.detail.contains("a report was faster");
    let unwritten = events
        .iter()
        .filter(|message| message.events.iter().any(superseded));
    if writer == OutcomeWriter::Waits {
        assert!(
            unwritten.count() > 0,
            "every outcome was written before the kill"
        );
    }
}

/// Locks the row that the outcome writer locks first: the first message of the first conversation.
async fn lock_first(service: &Service, sent: &[v1::Message]) -> RowLock {
    let first = sent
        .iter()
        .min_by_key(|message| (&message.conversation_id, message.sequence));
    let id = &first.expect("sent messages").id;
    RowLock::row(
        service,
        &format!("SELECT 1 FROM messages WHERE id = '{id}' FOR UPDATE"),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_deliveries_sqlite() {
    killed_during_deliveries(Kind::Sqlite, OutcomeWriter::Writes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_deliveries_postgres() {
    killed_during_deliveries(Kind::Postgres, OutcomeWriter::Writes).await;
}

/// Postgres only: `SQLite` has one writer, so that a lock which delays the outcome writer also delays the reports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_outcomes_are_written_postgres() {
    killed_during_deliveries(Kind::Postgres, OutcomeWriter::Waits).await;
}
