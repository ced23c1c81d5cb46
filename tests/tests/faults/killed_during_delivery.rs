//! The service is killed while messages leave: each arrives all the same, and its story knows of every attempt.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use parlance_proto::v1::{self, MessageStatus};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, sms};
use parlance_tests::{Caller, Kind, Rpc, SOON, Service};

use crate::disconnected_clients::Holding;

const CONVERSATIONS: usize = 50;
const EACH: usize = 20;
/// What the killed process had in its hands waits for the end of its lease.
const LEASES: Duration = Duration::from_mins(3);

/// Asks many things at once; the answers in the order of the requests.
async fn ask_all<R: Rpc>(caller: &Caller, requests: Vec<R>) -> Vec<R::Reply> {
    let asking = requests
        .into_iter()
        .map(|request| caller.ok_in_a_crowd(request));
    stream::iter(asking).buffered(64).collect().await
}

/// A sender, and many recipients. The sender is paused: nothing leaves before all is acknowledged.
async fn pairs(caller: &Caller) -> Vec<Pair> {
    let first = caller.pair().await;
    let others = std::iter::repeat_with(|| Pair {
        theirs: make::phone(),
        ..first.clone()
    });
    others.take(CONVERSATIONS).collect()
}

async fn let_go(caller: &Caller) {
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

/// Those that have been delivered.
async fn delivered(caller: &Caller, ids: &[String]) -> HashSet<String> {
    let some = ids
        .chunks(100)
        .map(|ids| v1::BatchGetMessagesRequest { ids: ids.to_vec() });
    let found = ask_all(caller, some.collect()).await;
    let messages: Vec<v1::Message> = found.into_iter().flat_map(|found| found.messages).collect();
    assert_eq!(messages.len(), ids.len(), "all are there");
    let delivered = messages
        .into_iter()
        .filter(|message| message.status() == MessageStatus::Delivered);
    delivered.map(|message| message.id).collect()
}

/// What is wrong with what a story says of attempts: each has one line, and only the last can have been the good one.
fn wrong_attempts(story: &[v1::MessageEvent]) -> Option<String> {
    let mut attempts: Vec<&v1::MessageEvent> = story
        .iter()
        .filter(|event| event.kind == "attempt")
        .collect();
    attempts.sort_by_key(|event| event.attempt);
    let each_once = (1..)
        .zip(&attempts)
        .all(|(number, event)| event.attempt == number);
    let lost = |event: &&v1::MessageEvent| event.detail.contains("its worker was lost");
    let right = match attempts.split_last() {
        Some((last, before)) => each_once && before.iter().all(lost) && !lost(last),
        None => false,
    };
    (!right).then(|| format!("{story:#?}"))
}

/// What the scribe of the process does that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scribe {
    /// It writes down what comes.
    Writes,
    /// It waits for a row that somebody else has locked, so that reports are faster than outcomes.
    Waits,
}

async fn in_the_middle_of_deliveries(kind: Kind, scribe: Scribe) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let pairs = pairs(&caller).await;
    let sends = (0..CONVERSATIONS * EACH).map(|n| sms(&pairs[n % CONVERSATIONS], &n.to_string()));
    let sent = ask_all(&caller, sends.collect()).await;
    let ids: Vec<String> = sent.iter().map(|message| message.id.clone()).collect();

    let held = match scribe {
        Scribe::Waits => Some(hold_first(&service, &sent).await),
        Scribe::Writes => None,
    };
    let_go(&caller).await;
    // The first ones of each conversation, so that looking does not take longer than what is looked at.
    let first = &ids[..2 * CONVERSATIONS];
    let before = eventually(SOON, async || {
        let delivered = delivered(&caller, first).await;
        (delivered.len() >= CONVERSATIONS / 2).then_some(delivered)
    })
    .await;
    service.kill9();
    if let Some(held) = held {
        held.let_go().await;
    }

    service.start_again().await;
    let caller = Caller::as_owner(&service, caller.owner());
    eventually(LEASES, async || {
        (delivered(&caller, &ids).await.len() == ids.len()).then_some(())
    })
    .await;

    let seen = pairs.iter().map(|pair| make::seen_at(&pair.theirs));
    let seen = ask_all(&caller, seen.collect()).await;
    let again: HashSet<String> = seen
        .into_iter()
        .flat_map(|seen| seen.messages)
        .map(|message| message.message_id)
        .collect();
    assert!(
        again.len() >= 2 * CONVERSATIONS,
        "it was killed too late: {} were left",
        again.len()
    );
    assert!(
        again.is_disjoint(&before),
        "what has arrived does not leave again"
    );

    let stories = ask_all(&caller, ids.iter().map(|id| make::story(id)).collect()).await;
    let wrong: Vec<String> = ids
        .iter()
        .zip(&stories)
        .filter_map(|(id, story)| Some(format!("{id}: {}", wrong_attempts(&story.events)?)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} stories are wrong: {}",
        wrong.len(),
        wrong.join("\n")
    );
    let faster = |event: &v1::MessageEvent| event.detail.contains("a report was faster");
    let overtaken = stories
        .iter()
        .filter(|story| story.events.iter().any(faster));
    if scribe == Scribe::Waits {
        assert!(overtaken.count() > 0, "no outcome was unwritten");
    }
}

/// Locks what the scribe locks first: the first message of the first conversation.
async fn hold_first(service: &Service, sent: &[v1::Message]) -> Holding {
    let first = sent
        .iter()
        .min_by_key(|message| (&message.conversation_id, message.sequence));
    let id = &first.expect("some were sent").id;
    Holding::row(
        service,
        &format!("SELECT 1 FROM messages WHERE id = '{id}' FOR UPDATE"),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_deliveries_sqlite() {
    in_the_middle_of_deliveries(Kind::Sqlite, Scribe::Writes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_deliveries_postgres() {
    in_the_middle_of_deliveries(Kind::Postgres, Scribe::Writes).await;
}

/// `SQLite` has one writer: whoever keeps the scribe waiting keeps the reports waiting, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_outcomes_are_written_postgres() {
    in_the_middle_of_deliveries(Kind::Postgres, Scribe::Waits).await;
}
