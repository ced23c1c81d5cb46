//! What is hot.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use parlance_proto::v1;
use parlance_testkit::history::{BegunChange, BegunWrite, Change, Element, Key, Log};
use parlance_tests::Caller;
use parlance_tests::make::{self, Pair};

use super::{MESSAGES, number};
use crate::agreement::Named;

/// The version of what was deleted, of a row that says so; before it is 0.
pub(super) const GONE: u64 = 1;
/// So many of those that were deleted last are still asked for.
const REMEMBERED: usize = 3;
/// How often a text message may change by itself: it is claimed, handed over, perhaps again, and reported.
const BY_ITSELF: usize = 8;

/// What is done to a conversation besides what is done to all.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A chat whose messages are reported about.
    Reported,
    /// Text messages, sent and received.
    Texts(Pair),
    /// A chat whose messages are deleted.
    Shrinking,
}

impl Kind {
    pub(super) fn of(number: usize) -> Self {
        match number % 3 {
            0 => Self::Reported,
            1 => Self::Texts(make::phones()),
            _ => Self::Shrinking,
        }
    }

    /// With the name that it has without the cache, too.
    fn create(&self) -> v1::CreateConversationRequest {
        let name = make::unique("hot");
        match self {
            Self::Reported | Self::Shrinking => make::create_chat(&name),
            Self::Texts(pair) => {
                let mut request = make::create(pair);
                if let Some(conversation) = &mut request.conversation {
                    conversation.external_id = name;
                }
                request
            }
        }
    }
}

/// A conversation.
pub(super) struct Chat {
    pub(super) named: Named,
    pub(super) kind: Kind,
    /// The conversation's own version.
    pub(super) conversation: Key,
    /// How many messages it has: raised by what is sent and received, where nothing is deleted.
    pub(super) count: Key,
    pub(super) list: Key,
    /// The newest, last first.
    messages: Mutex<VecDeque<Hot>>,
    /// Those that are being deleted, or were of late.
    doomed: Mutex<VecDeque<Hot>>,
}

/// A message.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) id: String,
    pub(super) key: Key,
    /// Whether it is gone.
    pub(super) gone: Key,
    pub(super) sequence: u64,
}

/// Something is put into a conversation.
pub(super) struct BegunSend {
    key: Key,
    gone: Key,
    message: BegunWrite,
    count: BegunWrite,
    list: BegunChange,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn element(message: &v1::Message) -> Element {
    Element {
        sequence: number(message.sequence),
        version: number(message.version),
    }
}

impl Chat {
    pub(super) async fn make(
        caller: &Caller,
        kind: Kind,
        next_key: &AtomicU32,
        log: &mut Log,
    ) -> Self {
        let key = || next_key.fetch_add(1, Ordering::Relaxed);
        let (conversation, count, list) = (key(), key(), key());
        let write = log.begin_write(conversation);
        let made = caller.ok(kind.create()).await;
        log.acknowledged(&write, number(made.version));
        let chat = Self {
            named: Named {
                id: made.id,
                external_id: made.external_id,
            },
            kind,
            conversation,
            count,
            list,
            messages: Mutex::default(),
            doomed: Mutex::default(),
        };
        for _ in 0..MESSAGES {
            let begun = chat.begin_send(log, next_key);
            let message = caller.ok(make::reply(&chat.named.id, "hello")).await;
            chat.sent(log, &begun, &message);
        }
        chat
    }

    pub(super) fn messages(&self) -> MutexGuard<'_, VecDeque<Hot>> {
        lock(&self.messages)
    }

    pub(super) fn begin_send(&self, log: &mut Log, next_key: &AtomicU32) -> BegunSend {
        // What came of the conversation's version nobody is told; a read may not be ahead of it.
        let _ = log.begin_write(self.conversation);
        let key = || next_key.fetch_add(1, Ordering::Relaxed);
        let (key, gone) = (key(), key());
        let message = log.begin_write(key);
        if matches!(self.kind, Kind::Texts(_)) {
            for _ in 0..BY_ITSELF {
                let _ = log.begin_write(key);
            }
        }
        BegunSend {
            key,
            gone,
            message,
            count: log.begin_write(self.count),
            list: log.begin_change(self.list, Change::Send),
        }
    }

    pub(super) fn sent(&self, log: &mut Log, begun: &BegunSend, message: &v1::Message) {
        let element = element(message);
        log.acknowledged(&begun.message, element.version);
        log.acknowledged(&begun.count, element.sequence);
        log.changed(&begun.list, element);
        let mut messages = self.messages();
        messages.push_front(Hot {
            id: message.id.clone(),
            key: begun.key,
            gone: begun.gone,
            sequence: element.sequence,
        });
        messages.truncate(MESSAGES);
    }

    /// One that is to be deleted: nobody chooses it any more but to see whether it is gone.
    pub(super) fn doom(&self, which: usize) -> Option<Hot> {
        let hot = self.messages().remove(which)?;
        let mut doomed = lock(&self.doomed);
        doomed.push_front(hot.clone());
        doomed.truncate(REMEMBERED);
        Some(hot)
    }

    /// One of those.
    pub(super) fn doomed(&self, which: usize) -> Option<Hot> {
        lock(&self.doomed).get(which).cloned()
    }
}
