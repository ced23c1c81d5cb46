//! Messages that come in: from the application, from customers, and from before a restart.

use std::time::Duration;

use bytes::Bytes;
use parlance_domain::Timestamp;

use super::message::{Direction, Media, Message, Status};
use super::opt_out::Keyword;
use super::progress::{NewWebhook, UNTIL_DELIVERED, UNTIL_SENT};
use super::refusal::{Refusal, code};
use super::timers::Timer;
use super::{EventTime, Network, Time, form, published};
use crate::FaultKind;
use crate::simulator::recipients::Behaviour;

/// From the acceptance by a Messaging Service to its queue.
const UNTIL_QUEUED: Duration = Duration::from_millis(50);
/// How long a connection hangs if the script does not say it.
const HANG: Duration = Duration::from_mins(1);
/// Number of messages whose deferral is remembered.
const MAX_DEFERRED: usize = 10_000;

/// Message of the application.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The account.
    pub account: String,
    /// Id to give to the message, if the caller chooses it: a repeated submission is the same message then.
    pub sid: Option<String>,
    /// Address of origin; may be empty with a Messaging Service.
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
    pub media: Vec<NewMedia>,
    /// URL that the status is reported to; empty without one.
    pub callback: String,
    /// Time before which it is not sent.
    pub send_at: Option<Timestamp>,
    /// Whether it responds to an inbound message. The script and opt-outs do not apply then.
    pub is_reply: bool,
}

/// Attached file of a new message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMedia {
    /// Its location; empty if the content is given.
    pub url: String,
    /// The MIME type.
    pub content_type: String,
    /// The content; the network serves it.
    pub content: Option<Bytes>,
}

/// Message of a customer.
#[derive(Debug, Clone)]
pub struct InboundText {
    /// The account.
    pub account: String,
    /// The customer's address.
    pub from: String,
    /// Our address.
    pub to: String,
    /// Text.
    pub body: String,
    /// Attached files.
    pub media: Vec<NewMedia>,
}

/// Answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Accepted under this id.
    Accepted(String),
    /// No answer. The message may have been accepted.
    Silent {
        /// How long the connection stays open; the driver has a default.
        delay: Option<Duration>,
    },
    /// Refused for good.
    Refused(Refusal),
    /// Refused for now.
    TooManyRequests {
        /// Time to wait; the driver has a default.
        after: Option<Duration>,
    },
    /// Error of the server; the message was not accepted.
    ServerError,
}

impl Network {
    /// Decides about a message of the application.
    pub fn submit(&mut self, submission: Submission, time: Time) -> Decision {
        let is_reply = submission.is_reply;
        let fault = if is_reply {
            None
        } else {
            let account = submission.account.as_str();
            self.accounts.plan_hand_over(account, &submission.to)
        };
        let mut answer_lost = None;
        match fault {
            Some((FaultKind::TooManyRequests, after)) => {
                return Decision::TooManyRequests { after };
            }
            Some((FaultKind::ServerError, _)) => return Decision::ServerError,
            Some((FaultKind::Hang, delay)) => {
                let delay = Some(delay.unwrap_or(HANG));
                return Decision::Silent { delay };
            }
            Some((FaultKind::OptedOut, _)) => return Decision::Refused(Refusal::opted_out()),
            Some((FaultKind::AcceptThenTimeout, delay)) => answer_lost = Some(delay),
            Some((
                FaultKind::Duplicate | FaultKind::Reorder | FaultKind::Drop | FaultKind::Delay,
                _,
            ))
            | None => {}
        }
        let behaviour = Behaviour::of(&submission.to);
        if let Some(refusal) = self.refusal(&submission, behaviour) {
            return Decision::Refused(refusal);
        }
        match behaviour {
            Behaviour::Busy if self.defer_once(&submission) => {
                return Decision::TooManyRequests { after: None };
            }
            Behaviour::AnswerLost if answer_lost.is_none() => answer_lost = Some(None),
            Behaviour::AnswerLost
            | Behaviour::Busy
            | Behaviour::Delivered
            | Behaviour::Undelivered
            | Behaviour::OptedOut
            | Behaviour::Invalid => {}
        }
        let sid = self.accept(submission, behaviour, time);
        match answer_lost {
            Some(delay) => Decision::Silent { delay },
            None => Decision::Accepted(sid),
        }
    }

    /// Continues with a message that was accepted by an earlier process, and is not listed.
    pub fn resume(&mut self, account: &str, sid: &str, to: &str, time: Time) {
        if self.messages.get(sid).is_some() {
            return;
        }
        let submission = Submission {
            account: account.to_owned(),
            sid: Some(sid.to_owned()),
            to: to.to_owned(),
            ..Submission::default()
        };
        let at = self.event_time(account, time);
        let message = Message {
            status: Status::Sent,
            listed: false,
            ..self.message_of(submission, Behaviour::of(to), at)
        };
        self.messages.insert(message);
        let sid = sid.to_owned();
        let delay = UNTIL_SENT + UNTIL_DELIVERED;
        self.later(account, delay, Timer::Progress { sid }, at);
    }

    /// Receives a message of a customer and posts it to the inbound URL. Returns `None` if there is no such URL.
    pub fn receive(&mut self, text: InboundText, time: Time) -> Option<&Message> {
        let url = self.settings.inbound_url.clone();
        if url.is_empty() {
            return None;
        }
        let InboundText {
            account,
            from,
            to,
            body,
            media,
        } = text;
        let at = self.event_time(&account, time);
        let submission = Submission {
            service: self.service_of(&account, &to, &from),
            account,
            from,
            to,
            body,
            media,
            ..Submission::default()
        };
        let message = Message {
            direction: Direction::Inbound,
            status: Status::Received,
            sent_at: Some(at.stamp),
            ..self.message_of(submission, Behaviour::Delivered, at)
        };
        let sid = message.sid.clone();
        let new = NewWebhook {
            account: message.account.clone(),
            sid: sid.clone(),
            customer: message.from.clone(),
            url,
            parameters: form::inbound(&message, &self.settings.base_url).0,
            status: Status::Received,
            error: None,
        };
        self.messages.insert(message.clone());
        self.obey(&message, time);
        self.add_webhook(new, at);
        self.messages.get(&sid)
    }

    /// Obeys a keyword, and confirms it to the customer.
    fn obey(&mut self, inbound: &Message, time: Time) {
        let Message {
            account,
            from: customer,
            to,
            service,
            body,
            ..
        } = inbound;
        let Some(keyword) = Keyword::of(body) else {
            return;
        };
        let sender = if service.is_empty() { to } else { service };
        match keyword {
            Keyword::Stop => self.blocks.add(account, sender, customer),
            // "Yes" is an ordinary answer of a customer who has not opted out.
            Keyword::Start if !self.blocks.remove(account, sender, customer) => return,
            Keyword::Start | Keyword::Help => {}
        }
        let confirmation = Submission {
            account: account.clone(),
            from: to.clone(),
            to: customer.clone(),
            body: keyword.confirmation().to_owned(),
            is_reply: true,
            ..Submission::default()
        };
        self.submit(confirmation, time);
    }

    /// Messaging Service by which the latest message to a customer was sent from this number; empty without one.
    fn service_of(&self, account: &str, number: &str, customer: &str) -> String {
        let mut sent = self.messages.of(account).filter(|message| {
            message.direction == Direction::Outbound
                && message.from == number
                && message.to == customer
        });
        sent.next()
            .map(|message| message.service.clone())
            .unwrap_or_default()
    }

    fn refusal(&self, submission: &Submission, behaviour: Behaviour) -> Option<Refusal> {
        let Submission {
            account,
            from,
            to,
            service,
            is_reply,
            ..
        } = submission;
        if let Some(refusal) =
            published::refusal_of_sender(from).or_else(|| published::refusal_of_recipient(to))
        {
            return Some(refusal);
        }
        let sender = if service.is_empty() { from } else { service };
        match behaviour {
            Behaviour::Invalid => Some(Refusal::new(
                code::INVALID_TO,
                "The 'To' number is not a valid phone number: the recipient does not exist",
            )),
            Behaviour::OptedOut => Some(Refusal::opted_out()),
            Behaviour::Delivered
            | Behaviour::Undelivered
            | Behaviour::AnswerLost
            | Behaviour::Busy => {
                let is_blocked = !is_reply && self.blocks.has(account, sender, to);
                is_blocked.then(Refusal::opted_out)
            }
        }
    }

    /// Remembers that a message was refused once; returns `true` the first time.
    fn defer_once(&mut self, submission: &Submission) -> bool {
        if self.deferred.len() >= MAX_DEFERRED {
            self.deferred.clear();
        }
        let Submission {
            account,
            sid,
            from,
            to,
            service,
            body,
            ..
        } = submission;
        let key = match sid {
            Some(sid) => sid.clone(),
            None => format!("{account} {from} {to} {service} {body}"),
        };
        self.deferred.insert(key)
    }

    /// Keeps a message and starts its progress. Returns its id.
    fn accept(&mut self, submission: Submission, behaviour: Behaviour, time: Time) -> String {
        let at = self.event_time(&submission.account, time);
        if let Some(sid) = &submission.sid
            && let Some(known) = self.messages.get_mut(sid)
        {
            if known.listed {
                known.times_accepted = known.times_accepted.saturating_add(1);
                return sid.clone();
            }
            // Accepted by an earlier process, and handed over once more: it is already on its way.
            let (status, sid) = (known.status, sid.clone());
            let message = self.message_of(submission, behaviour, at);
            self.messages.insert(Message { status, ..message });
            return sid;
        }
        let (account, send_at) = (submission.account.clone(), submission.send_at);
        let message = self.message_of(submission, behaviour, at);
        let sid = message.sid.clone();
        let delay = match (message.status, send_at) {
            (Status::Scheduled, Some(send_at)) => send_at.since(at.stamp),
            (Status::Accepted, _) => UNTIL_QUEUED,
            _ => UNTIL_SENT,
        };
        self.messages.insert(message);
        let timer = Timer::Progress { sid: sid.clone() };
        self.later(&account, delay, timer, at);
        sid
    }

    fn message_of(
        &mut self,
        submission: Submission,
        behaviour: Behaviour,
        at: EventTime,
    ) -> Message {
        let Submission {
            account,
            sid,
            from,
            to,
            service,
            subject,
            body,
            media,
            callback,
            send_at,
            is_reply,
        } = submission;
        let prefix = if media.is_empty() { "SM" } else { "MM" };
        let sid = sid.unwrap_or_else(|| self.ids.id(prefix));
        let media = media.into_iter().map(
            |NewMedia {
                 url,
                 content_type,
                 content,
             }| Media {
                sid: self.ids.id("ME"),
                url,
                content_type,
                content,
            },
        );
        Message {
            number: 0, // given when it is kept
            account,
            sid,
            direction: if is_reply {
                Direction::Reply
            } else {
                Direction::Outbound
            },
            status: if send_at.is_some() {
                Status::Scheduled
            } else if service.is_empty() {
                Status::Queued
            } else {
                Status::Accepted
            },
            from,
            to,
            service,
            subject,
            body,
            media: media.collect(),
            error: None,
            callback,
            created_at: at.stamp,
            updated_at: at.stamp,
            sent_at: None,
            times_accepted: 1,
            listed: true,
            fails_with: (behaviour == Behaviour::Undelivered).then_some(code::UNREACHABLE),
        }
    }
}
