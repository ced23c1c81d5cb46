//! Messages of the simulated network, bounded in number and bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use parlance_domain::Timestamp;

/// Number of messages that are kept. Those without a final status are kept beyond it, up to [`HARD`] times as many: the
/// application waits for their reports.
const MAX_MESSAGES: usize = 10_000;
/// Bytes of subjects, bodies, URLs and files that are kept.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Factor of the limits that hold for all messages.
const HARD: usize = 8;

/// Direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sent by the API.
    Outbound,
    /// Sent in response to an inbound message.
    Reply,
    /// Sent by a customer.
    Inbound,
}

/// Status of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Accepted by a Messaging Service, which has not chosen a sender yet.
    Accepted,
    /// Waits for its time.
    Scheduled,
    /// Waits in the queue of its sender.
    Queued,
    /// Passed on to the network.
    Sent,
    /// Arrived.
    Delivered,
    /// Did not arrive.
    Undelivered,
    /// Canceled before it was sent.
    Canceled,
    /// Inbound.
    Received,
}

impl Status {
    /// Word of the API and of webhooks.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Canceled => "canceled",
            Self::Received => "received",
        }
    }

    /// Whether it never changes again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Delivered | Self::Undelivered | Self::Canceled | Self::Received => true,
            Self::Accepted | Self::Scheduled | Self::Queued | Self::Sent => false,
        }
    }
}

/// Attached file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Its id.
    pub sid: String,
    /// Its location.
    pub url: String,
    /// The MIME type.
    pub content_type: String,
    /// The content, if it is stored here and not at the location.
    pub content: Option<Bytes>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Position in the order of creation.
    pub number: u64,
    /// The account that it belongs to.
    pub account: String,
    /// Its id.
    pub sid: String,
    /// Direction.
    pub direction: Direction,
    /// Address of origin; empty until a Messaging Service has chosen one.
    pub from: String,
    /// Recipient.
    pub to: String,
    /// Messaging Service; empty without one.
    pub service: String,
    /// Subject; mail only.
    pub subject: String,
    /// Text.
    pub body: String,
    /// Attached files.
    pub media: Vec<Media>,
    /// Status.
    pub status: Status,
    /// Code of the error, if it did not arrive.
    pub error: Option<u32>,
    /// URL that the status is reported to; empty without one.
    pub callback: String,
    /// Time of the request.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Time at which it was passed on to the network.
    pub sent_at: Option<Timestamp>,
    /// Number of hand-overs.
    pub times_accepted: u32,
    /// Whether it is listed; a message that was accepted by an earlier process is not.
    pub(super) listed: bool,
    /// Error that its delivery ends with.
    pub(super) fails_with: Option<u32>,
}

impl Message {
    /// The customer's address.
    #[must_use]
    pub fn customer(&self) -> &str {
        match self.direction {
            Direction::Outbound | Direction::Reply => &self.to,
            Direction::Inbound => &self.from,
        }
    }

    fn bytes(&self) -> usize {
        let media = self.media.iter();
        let media: usize = media
            .map(|it| {
                let content = it.content.as_ref().map_or(0, Bytes::len);
                it.url.len() + it.content_type.len() + content
            })
            .sum();
        self.subject.len() + self.body.len() + self.callback.len() + media
    }
}

/// All messages in the order of their creation.
#[derive(Debug, Default)]
pub(super) struct Messages {
    in_order: BTreeMap<u64, Message>,
    by_sid: HashMap<String, u64>,
    /// Numbers of the messages with a final status.
    finals: BTreeSet<u64>,
    next: u64,
    bytes: usize,
}

impl Messages {
    pub(super) fn get(&self, sid: &str) -> Option<&Message> {
        self.in_order.get(self.by_sid.get(sid)?)
    }

    /// Returns a message to be changed. Its texts must not grow.
    pub(super) fn get_mut(&mut self, sid: &str) -> Option<&mut Message> {
        self.in_order.get_mut(self.by_sid.get(sid)?)
    }

    /// Adds a message, and removes the oldest ones beyond the limits.
    pub(super) fn insert(&mut self, mut message: Message) {
        self.remove(&message.sid);
        self.next += 1;
        message.number = self.next;
        self.bytes = self.bytes.saturating_add(message.bytes());
        self.by_sid.insert(message.sid.clone(), self.next);
        if message.status.is_final() {
            self.finals.insert(self.next);
        }
        self.in_order.insert(self.next, message);
        while self.exceeds(1) {
            let oldest = match self.finals.first() {
                Some(number) => self.in_order.remove(number),
                None if self.exceeds(HARD) => self.in_order.pop_first().map(|(_, oldest)| oldest),
                None => return,
            };
            let Some(oldest) = oldest else { return };
            self.discount(&oldest);
        }
    }

    /// Notes that a message has its final status.
    pub(super) fn finish(&mut self, sid: &str) {
        if let Some(number) = self.by_sid.get(sid) {
            self.finals.insert(*number);
        }
    }

    fn exceeds(&self, factor: usize) -> bool {
        self.in_order.len() > factor * MAX_MESSAGES || self.bytes > factor * MAX_BYTES
    }

    pub(super) fn remove(&mut self, sid: &str) -> Option<Message> {
        let message = self.in_order.remove(self.by_sid.get(sid)?)?;
        self.discount(&message);
        Some(message)
    }

    /// Empties the text of a message.
    pub(super) fn redact(&mut self, sid: &str) {
        let Some(message) = self.get_mut(sid) else {
            return;
        };
        let freed = message.body.len();
        message.body = String::new();
        self.bytes = self.bytes.saturating_sub(freed);
    }

    /// Removes a file of a message.
    pub(super) fn remove_media(&mut self, sid: &str, media: &str) -> bool {
        let Some(message) = self.get_mut(sid) else {
            return false;
        };
        let before = (message.media.len(), message.bytes());
        message.media.retain(|it| it.sid != media);
        let after = (message.media.len(), message.bytes());
        self.bytes = self.bytes.saturating_sub(before.1 - after.1);
        after.0 < before.0
    }

    /// The messages of an account, newest first.
    pub(super) fn of<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a Message> {
        let newest_first = self.in_order.values().rev();
        newest_first.filter(move |message| message.account == account && message.listed)
    }

    /// Takes a removed message out of the indexes and the sum of bytes.
    fn discount(&mut self, message: &Message) {
        self.by_sid.remove(&message.sid);
        self.finals.remove(&message.number);
        self.bytes = self.bytes.saturating_sub(message.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sid: &str, body: String) -> Message {
        let at = Timestamp::from_micros(0);
        Message {
            number: 0,
            account: "a".to_owned(),
            sid: sid.to_owned(),
            direction: Direction::Outbound,
            from: String::new(),
            to: String::new(),
            service: String::new(),
            subject: String::new(),
            body,
            media: Vec::new(),
            status: Status::Delivered,
            error: None,
            callback: String::new(),
            created_at: at,
            updated_at: at,
            sent_at: None,
            times_accepted: 1,
            listed: true,
            fails_with: None,
        }
    }

    #[test]
    fn the_oldest_messages_are_removed_beyond_the_limits() {
        let mut messages = Messages::default();
        for number in 0..=MAX_MESSAGES {
            messages.insert(message(&number.to_string(), String::new()));
        }
        assert!(messages.get("0").is_none() && messages.get("1").is_some());
        assert_eq!(messages.of("a").count(), MAX_MESSAGES);
        messages.insert(message("large", "x".repeat(MAX_BYTES)));
        assert_eq!(messages.of("a").count(), MAX_MESSAGES);
        messages.insert(message("one more", "x".to_owned()));
        assert!(messages.get("large").is_none());
        assert_eq!(messages.of("a").count(), 1);
        assert_eq!(messages.bytes, 1);
    }

    #[test]
    fn messages_without_a_final_status_are_kept_longer() {
        let mut messages = Messages::default();
        let waiting = Message {
            status: Status::Queued,
            ..message("waiting", String::new())
        };
        messages.insert(waiting);
        for number in 0..=MAX_MESSAGES {
            messages.insert(message(&number.to_string(), String::new()));
        }
        assert!(messages.get("waiting").is_some() && messages.get("0").is_none());
        messages.finish("waiting");
        messages.insert(message("one more", String::new()));
        assert!(messages.get("waiting").is_none());
        assert_eq!(messages.of("a").count(), MAX_MESSAGES);
    }

    #[test]
    fn messages_without_a_final_status_are_bounded() {
        let mut messages = Messages::default();
        for number in 0..=HARD * MAX_MESSAGES {
            messages.insert(Message {
                status: Status::Queued,
                ..message(&number.to_string(), String::new())
            });
        }
        assert!(messages.get("0").is_none() && messages.get("1").is_some());
        assert_eq!(messages.of("a").count(), HARD * MAX_MESSAGES);
    }

    #[test]
    fn bytes_are_freed_by_redaction_and_removal() {
        let mut messages = Messages::default();
        messages.insert(message("a", "abc".to_owned()));
        messages.insert(message("b", "abc".to_owned()));
        messages.redact("a");
        assert_eq!(messages.bytes, 3);
        assert!(messages.remove("b").is_some() && messages.remove("b").is_none());
        assert_eq!((messages.bytes, messages.of("a").count()), (0, 1));
    }
}
