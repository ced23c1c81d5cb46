//! Many sends, each with a `request_id`, and what must be true of them afterwards.

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

/// Some sends into some conversations, chats and texts alike.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// One for each conversation.
    places: Vec<Send>,
    requests: Vec<Send>,
    acknowledged: Arc<Mutex<HashMap<String, v1::Message>>>,
}

impl Load {
    /// This many sends into every one of as many conversations.
    pub(crate) async fn new(caller: &Caller, conversations: usize, each: usize) -> Self {
        let mut places: Vec<Send> = Vec::new();
        for number in 0..conversations {
            places.push(if number % 2 == 0 {
                chat(&make::unique("talk"), "")
            } else {
                let pair: Pair = caller.pair().await;
                sms(&pair, "")
            });
        }
        let load = Self {
            places,
            requests: Vec::new(),
            acknowledged: Arc::default(),
        };
        let requests = (0..each * conversations).map(|number| load.request(number));
        Self {
            requests: requests.collect(),
            ..load
        }
    }

    /// In turns, so that every conversation is in the middle when something happens.
    fn request(&self, number: usize) -> Send {
        Send {
            request_id: format!("request-{number}"),
            body: format!("body {number}"),
            ..self.places[number % self.places.len()].clone()
        }
    }

    /// How many have been answered.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until as many have been answered.
    pub(crate) async fn until_acknowledged(&self, count: usize) {
        let enough = async || (self.acknowledged() >= count).then_some(());
        eventually(SOON, enough).await;
    }

    /// Sends on and on, so many at a time, until there is nobody to send to: as long as there is a service, it is in the middle of
    /// them. How many were sent, and how many of these were refused.
    pub(crate) async fn send_to_the_end(
        &mut self,
        caller: &Caller,
        at_a_time: usize,
    ) -> (usize, usize) {
        let next = AtomicUsize::new(self.requests.len());
        let sends = (0..at_a_time).map(|_| async {
            let mut refused = 0;
            loop {
                let request = self.request(next.fetch_add(1, Ordering::Relaxed));
                match caller.ask(request.clone()).await {
                    Ok(message) => self.note(&request, &message),
                    Err(status) => {
                        check_passing(&status);
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

    /// Sends each once, all at the same time. Whoever is refused is refused for a while only.
    pub(crate) async fn send_once(&self, caller: &Caller) -> usize {
        let sends = self.requests.iter().map(|request| async {
            match caller.ask(request.clone()).await {
                Ok(message) => {
                    self.note(request, &message);
                    0
                }
                Err(status) => {
                    check_passing(&status);
                    1
                }
            }
        });
        futures_util::future::join_all(sends)
            .await
            .into_iter()
            .sum()
    }

    /// Sends each until it is answered, to one caller after the other, and says how often it was refused in between.
    pub(crate) async fn insist(&self, callers: &[Caller]) -> usize {
        let sends = self
            .requests
            .iter()
            .enumerate()
            .map(|(number, request)| async move {
                let mut refused = 0;
                let (message, _) = eventually(SOON, async || {
                    let caller = &callers[(number + refused) % callers.len()];
                    match caller.ask(request.clone()).await {
                        Ok(message) => Some((message, caller)),
                        Err(status) => {
                            check_passing(&status);
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

    /// An answer is the same each time.
    fn note(&self, request: &Send, message: &v1::Message) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let first = acknowledged
            .entry(request.request_id.clone())
            .or_insert_with(|| message.clone());
        assert_eq!(first.id, message.id, "two messages for one request");
        assert_eq!(message.body, request.body);
    }

    /// Every request was answered, every answer is there once, and no number is missing.
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
            let facts = |messages: &[v1::Message]| -> Vec<(i64, String, String)> {
                messages
                    .iter()
                    .map(|m| (m.sequence, m.id.clone(), m.body.clone()))
                    .collect()
            };
            assert_eq!(facts(&stored), facts(&messages));
            let sequences: Vec<i64> = stored.iter().map(|message| message.sequence).collect();
            let whole: Vec<i64> = (1..).take(sequences.len()).collect();
            assert_eq!(sequences, whole);
            let count = caller.conversation(&id).await.message_count;
            assert_eq!(usize::try_from(count).unwrap(), stored.len());
        }
    }

    /// What was answered is there.
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

/// An error that says by itself that it will pass, or that no service had a hand in.
#[track_caller]
pub(crate) fn check_passing(status: &Status) {
    if status.get_details_error_info().is_none() {
        // The client's own library speaks: its connection ended.
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
    let passes = matches!(refusal.code, Code::Aborted | Code::DeadlineExceeded);
    assert!(passes, "{status:?}");
}
