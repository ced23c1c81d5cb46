//! Progress of a message from acceptance to delivery, and the webhooks that report it.

use std::time::Duration;

use super::message::Status;
use super::retry::{Retries, WebhookTimeouts};
use super::timers::{Timer, micros};
use super::webhook::Webhook;
use super::{Effect, EventTime, Network, form};
use crate::WebhookState;

/// From the queue to the network, and from there to the recipient: 250 ms together.
pub(super) const UNTIL_SENT: Duration = Duration::from_millis(100);
pub(super) const UNTIL_DELIVERED: Duration = Duration::from_millis(150);
/// Address that a Messaging Service sends from: Twilio's published valid test number.
const SERVICE_NUMBER: &str = "+15005550006";

/// Webhook before the script has decided about it.
pub(super) struct NewWebhook {
    pub(super) account: String,
    pub(super) sid: String,
    /// The customer's address, which a fault may be limited to.
    pub(super) customer: String,
    pub(super) url: String,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) status: Status,
    pub(super) error: Option<u32>,
}

impl Network {
    /// Gives a message its next status.
    pub(super) fn progress(&mut self, sid: &str, at: EventTime) {
        let Some(message) = self.messages.get_mut(sid) else {
            return;
        };
        let (next, then) = match message.status {
            Status::Accepted | Status::Scheduled => (Status::Queued, Some(UNTIL_SENT)),
            Status::Queued => (Status::Sent, Some(UNTIL_DELIVERED)),
            Status::Sent if message.fails_with.is_some() => (Status::Undelivered, None),
            Status::Sent => (Status::Delivered, None),
            Status::Delivered | Status::Undelivered | Status::Canceled | Status::Received => return,
        };
        if message.from.is_empty() {
            SERVICE_NUMBER.clone_into(&mut message.from);
        }
        let account = message.account.clone();
        self.set_status(sid, next, at);
        if let Some(then) = then {
            let sid = sid.to_owned();
            self.later(&account, then, Timer::Progress { sid }, at);
        }
    }

    /// Sets a status, and reports it if it has to be.
    pub(super) fn set_status(&mut self, sid: &str, status: Status, at: EventTime) {
        let Some(message) = self.messages.get_mut(sid) else {
            return;
        };
        message.status = status;
        message.updated_at = at.stamp;
        match status {
            Status::Sent => message.sent_at = Some(at.stamp),
            Status::Undelivered => message.error = message.fails_with,
            Status::Accepted
            | Status::Scheduled
            | Status::Queued
            | Status::Delivered
            | Status::Canceled
            | Status::Received => {}
        }
        let is_reported = if self.settings.every_status {
            !message.callback.is_empty()
        } else {
            status.is_final()
        };
        let new = is_reported.then(|| NewWebhook {
            account: message.account.clone(),
            sid: sid.to_owned(),
            customer: message.customer().to_owned(),
            url: message.callback.clone(),
            parameters: form::status(message, status, message.error).0,
            status,
            error: message.error,
        });
        if status.is_final() {
            self.messages.finish(sid);
        }
        if let Some(new) = new {
            self.add_webhook(new, at);
        }
    }

    /// Adds a webhook, and sends it as the script decides.
    pub(super) fn add_webhook(&mut self, new: NewWebhook, at: EventTime) {
        let NewWebhook {
            account,
            sid,
            customer,
            url,
            parameters,
            status,
            error,
        } = new;
        let plan = self.accounts.plan_webhook(&account, &customer);
        let (url, fragment) = url.split_once('#').unwrap_or((url.as_str(), ""));
        let webhook = self.webhooks.insert(Webhook {
            account: account.clone(),
            sid: sid.clone(),
            url: url.to_owned(),
            timeouts: WebhookTimeouts::of(fragment),
            parameters,
            status,
            error,
            token: self.ids.id(""),
            occurred_at: at.stamp,
            state: if plan.dropped {
                WebhookState::Dropped
            } else {
                WebhookState::Waiting
            },
            attempts: 0,
            result: String::new(),
            retries: Retries::of(fragment),
            retries_left: 0,
        });
        if plan.dropped {
            return;
        }
        if let Some(held) = plan.held {
            self.webhooks.hold(webhook);
            let timer = Timer::Release { webhook, sid };
            self.later(&account, plan.delay.saturating_add(held), timer, at);
        } else {
            self.enqueue_later(&account, webhook, plan.delay, at);
        }
        for copy in plan.copies {
            self.enqueue_later(&account, webhook, plan.delay.saturating_add(copy), at);
        }
    }

    fn enqueue_later(&mut self, account: &str, webhook: u64, delay: Duration, at: EventTime) {
        if delay.is_zero() {
            self.enqueue(webhook);
        } else {
            self.later(account, delay, Timer::Enqueue { webhook }, at);
        }
    }

    pub(super) fn later(&mut self, account: &str, delay: Duration, timer: Timer, at: EventTime) {
        let due = at.elapsed.saturating_add(micros(delay));
        self.timers.add(due, account, timer);
    }

    /// Adds a webhook to the queue of its message, and sends it if none of the message is on its way.
    pub(super) fn enqueue(&mut self, id: u64) -> bool {
        let is_queued = self.webhooks.enqueue(id);
        let sid = self.webhooks.get(id).map(|webhook| webhook.sid.clone());
        if let Some(sid) = sid.filter(|_| is_queued) {
            self.start_next(&sid);
        }
        is_queued
    }

    pub(super) fn start_next(&mut self, sid: &str) {
        if let Some(id) = self.webhooks.start_next(sid) {
            self.send(id);
        }
    }

    pub(super) fn send(&mut self, id: u64) {
        if let Some(webhook) = self.webhooks.get(id) {
            let webhook = Box::new(webhook.clone());
            self.effects.push(Effect::Send { id, webhook });
        }
    }
}
