//! Many sends, each with a `request_id`, and the checks of their results.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt as _};
use parlance_proto::v1::{self, SendMessageRequest as Send};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, chat, sms};
use parlance_tests::{Caller, Refusal, SOON};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Sends into several conversations, chats and text messages.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The target of each conversation.
    targets: Vec<Send>,
    requests: Vec<Send>,
    acknowledged: Arc<Mutex<HashMap<String, v1::Message>>>,
}

impl Load {
    /// A number of sends into each of a number of conversations.
    pub(crate) async fn new(caller: &Caller, conversations: usize, each: usize) -> Self {
        let mut targets: Vec<Send> = Vec::new();
        for number in 0..conversations {
            targets.push(if number % 2 == 0 {
                chat(&make::unique("talk"), "")
            } else {
                let pair: Pair = caller.pair().await;
                sms(&pair, "")
            });
        }
        let load = Self {
            targets,
            requests: Vec::new(),
            acknowledged: Arc::default(),
        };
        let requests = (0..each * conversations).map(|number| load.request(number));
        Self {
            requests: requests.collect(),
            ..load
        }
    }

    /// The conversations take turns, so that each has sends in progress at any time.
    fn request(&self, number: usize) -> Send {
        Send {
            request_id: format!("request-{number}"),
            body: format!("body {number}"),
            ..self.targets[number % self.targets.len()].clone()
        }
    }

    /// Number of acknowledged sends.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until a number of sends is acknowledged.
    pub(crate) async fn until_acknowledged(&self, count: usize) {
        let enough = async || (self.acknowledged() >= count).then_some(());
        eventually(SOON, enough).await;
    }

    /// Sends with a number of concurrent requests until the service is gone, so that it has sends in progress for as
    /// long as it runs. Returns the number of sends and how many of them were refused.
    pub(crate) async fn send_until_killed(
        &mut self,
        caller: &Caller,
        concurrent: usize,
    ) -> (usize, usize) {
        let next = AtomicUsize::new(self.requests.len());
        let sends = (0..concurrent).map(|_| async {
            let mut refused = 0;
            loop {
                let request = self.request(next.fetch_add(1, Ordering::Relaxed));
                match caller.call(request.clone()).await {
                    Ok(message) => self.note(&request, &message),
                    Err(status) => {
                        assert_transient(&status);
                        refused += 1;
                        if status.get_details_error_info().is_none() {
                            return refused;
                        }
                    }
                }
            }
        });
        let refused = futures_util::future::join_all(sends).await;
        let sent = next.into_inner();
        self.requests = (0..sent).map(|number| self.request(number)).collect();
        (sent, refused.into_iter().sum())
    }

    /// Sends each request once, all concurrently. Every refusal must be transient; returns their number.
    pub(crate) async fn send_once(&self, caller: &Caller) -> usize {
        let sends = self.requests.iter().map(|request| async {
            match caller.call(request.clone()).await {
                Ok(message) => {
                    self.note(request, &message);
                    0
                }
                Err(status) => {
                    assert_transient(&status);
                    1
                }
            }
        });
        futures_util::future::join_all(sends)
            .await
            .into_iter()
            .sum()
    }

    /// Repeats each request until it is acknowledged, at one caller after the other; returns the number of refusals.
    pub(crate) async fn send_until_acknowledged(&self, callers: &[Caller]) -> usize {
        let sends = self
            .requests
            .iter()
            .enumerate()
            .map(|(number, request)| async move {
                let mut refused = 0;
                let (message, _) = eventually(SOON, async || {
                    let caller = &callers[(number + refused) % callers.len()];
                    match caller.call(request.clone()).await {
                        Ok(message) => Some((message, caller)),
                        Err(status) => {
                            assert_transient(&status);
                            refused += 1;
                            None
                        }
                    }
                })
                .await;
                self.note(request, &message);
                refused
            });
        stream::iter(sends)
            .buffer_unordered(64)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .sum()
    }

    /// Records an acknowledgement; every reply to a request must be the same.
    fn note(&self, request: &Send, message: &v1::Message) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let first = acknowledged
            .entry(request.request_id.clone())
            .or_insert_with(|| message.clone());
        assert_eq!(first.id, message.id, "two messages for one request");
        assert_eq!(message.body, request.body);
    }

    /// Checks that every request was acknowledged and is stored once, and that no sequence is missing.
    pub(crate) async fn verify(&self, caller: &Caller) {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        assert_eq!(acknowledged.len(), self.requests.len());
        let mut expected: BTreeMap<String, Vec<v1::Message>> = BTreeMap::new();
        for message in acknowledged.into_values() {
            expected
                .entry(message.conversation_id.clone())
                .or_default()
                .push(message);
        }
        for (id, mut messages) in expected {
            messages.sort_by_key(|message| message.sequence);
            let stored = caller.all_messages(&id).await;
            let fields = |messages: &[v1::Message]| -> Vec<(i64, String, String)> {
                messages
                    .iter()
                    .map(|m| (m.sequence, m.id.clone(), m.body.clone()))
                    .collect()
            };
            assert_eq!(fields(&stored), fields(&messages));
            let sequences: Vec<i64> = stored.iter().map(|message| message.sequence).collect();
            let complete: Vec<i64> = (1..).take(sequences.len()).collect();
            assert_eq!(sequences, complete);
            let count = caller.conversation(&id).await.message_count;
            assert_eq!(usize::try_from(count).unwrap(), stored.len());
        }
    }

    /// Checks that every acknowledged message is stored.
    pub(crate) async fn verify_acknowledged(&self, caller: &Caller) {
        let acknowledged: Vec<v1::Message> = self
            .acknowledged
            .lock()
            .unwrap()
            .values()
            .cloned()
            .collect();
        for some in acknowledged.chunks(100) {
            let ids = some.iter().map(|message| message.id.clone()).collect();
            let batch = caller.ok(v1::BatchGetMessagesRequest { ids }).await;
            assert_eq!(batch.missing_ids, Vec::<String>::new());
        }
    }
}

/// Asserts that an error is marked as transient, or comes from a lost connection.
#[track_caller]
pub(crate) fn assert_transient(status: &Status) {
    if status.get_details_error_info().is_none() {
        // An error of the client library: its connection ended.
        assert!(std::error::Error::source(status).is_some(), "{status:?}");
        return;
    }
    let refusal = Refusal::of(status);
    if refusal.code == Code::Unavailable {
        let delay = refusal.retry_after.expect("a delay");
        assert_eq!(
            refusal.pushback,
            Some(delay.as_millis().to_string()),
            "{status:?}"
        );
        return;
    }
    let is_transient = matches!(refusal.code, Code::Aborted | Code::DeadlineExceeded);
    assert!(is_transient, "{status:?}");
}
