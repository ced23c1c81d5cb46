//! The hot conversations and messages.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard};
use parlance_proto::v1;
use parlance_testkit::history::{BegunChange, BegunWrite, Change, Element, Key, Log};
use parlance_tests::Caller;
use parlance_tests::make::{self, Pair};

use super::{MESSAGES, number};
use crate::agreement::ChatIds;

/// Version of a deletion key after the deletion; before it is 0.
pub(super) const DELETED: u64 = 1;
/// Number of recently deleted messages that are still read.
const DELETED_READ: usize = 3;
/// How often delivery may change a text message: it is claimed, handed over, possibly retried, and reported.
const DELIVERY_CHANGES: usize = 8;

/// The writes to a conversation, in addition to those that every conversation gets.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A chat with status reports for its messages.
    Reported,
    /// Text messages, sent and received.
    Texts(Pair),
    /// A chat with deletions of its messages.
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

    /// The request, with an external id, by which it can be read without the cache.
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

/// A hot conversation.
pub(super) struct Chat {
    pub(super) ids: ChatIds,
    pub(super) kind: Kind,
    /// Key of the version of the conversation.
    pub(super) conversation: Key,
    /// Key of its number of messages, which only grows where nothing is deleted.
    pub(super) count: Key,
    pub(super) list: Key,
    /// The newest messages, newest first.
    messages: Mutex<VecDeque<Hot>>,
    /// Messages that are being deleted, or were deleted recently.
    deleted: Mutex<VecDeque<Hot>>,
}

/// A hot message.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) id: String,
    pub(super) key: Key,
    /// Key of its deletion.
    pub(super) deletion: Key,
    pub(super) sequence: u64,
}

/// The keys of a send in progress.
pub(super) struct BegunSend {
    key: Key,
    deletion: Key,
    message: BegunWrite,
    count: BegunWrite,
    list: BegunChange,
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
            ids: ChatIds {
                id: made.id,
                external_id: made.external_id,
            },
            kind,
            conversation,
            count,
            list,
            messages: Mutex::default(),
            deleted: Mutex::default(),
        };
        for _ in 0..MESSAGES {
            let begun = chat.begin_send(log, next_key);
            let message = caller.ok(make::reply(&chat.ids.id, "hello")).await;
            chat.sent(log, &begun, &message);
        }
        chat
    }

    pub(super) fn messages(&self) -> MutexGuard<'_, VecDeque<Hot>> {
        self.messages.lock()
    }

    pub(super) fn begin_send(&self, log: &mut Log, next_key: &AtomicU32) -> BegunSend {
        // The response does not contain the conversation's new version, but a read may return it.
        let _ = log.begin_write(self.conversation);
        let key = || next_key.fetch_add(1, Ordering::Relaxed);
        let (key, deletion) = (key(), key());
        let message = log.begin_write(key);
        if matches!(self.kind, Kind::Texts(_)) {
            for _ in 0..DELIVERY_CHANGES {
                let _ = log.begin_write(key);
            }
        }
        BegunSend {
            key,
            deletion,
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
            deletion: begun.deletion,
            sequence: element.sequence,
        });
        messages.truncate(MESSAGES);
    }

    /// Begins the deletion of a message: it is read only to check whether it is deleted.
    pub(super) fn begin_delete(&self, which: usize) -> Option<Hot> {
        let hot = self.messages().remove(which)?;
        let mut deleted = self.deleted.lock();
        deleted.push_front(hot.clone());
        deleted.truncate(DELETED_READ);
        Some(hot)
    }

    /// A message that is being deleted, or was deleted recently.
    pub(super) fn deleted(&self, which: usize) -> Option<Hot> {
        self.deleted.lock().get(which).cloned()
    }
}
