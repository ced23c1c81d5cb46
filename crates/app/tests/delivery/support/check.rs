//! Invariants at the end of a test. Tests with a disabled guard show that the checker reports violations.

use std::collections::{BTreeMap, HashMap};

use parlance_app::messages::DeliveryEventKind;
use parlance_domain::{DeliveryPolicy, MessageId, MessageStatus};

use super::World;

impl World {
    /// Checks that no message is lost or wrongly doubled, and that the service shows the true state of each.
    pub(crate) async fn violations(&self, messages: &[MessageId]) -> Vec<String> {
        let mut violations = Vec::new();
        for &id in messages {
            let message = self.message(id).await;
            let (accepted, seen) = (self.provider.accepted(id), self.provider.seen(id));
            let status = message.progress.status;
            match message.policy {
                DeliveryPolicy::AtLeastOnce => {
                    if accepted == 0 {
                        violations.push(format!("{id} is lost; it is {status}"));
                    }
                    if status != MessageStatus::Sent {
                        violations.push(format!("{id} is {status}, although it was accepted"));
                    }
                }
                DeliveryPolicy::AtMostOnce => {
                    if accepted > 1 {
                        violations.push(format!("{id} was handed over twice"));
                    }
                    if status == MessageStatus::Sent && accepted == 0 {
                        violations.push(format!("{id} is SENT, although it was not accepted"));
                    }
                    if status != MessageStatus::Sent && status != MessageStatus::Uncertain {
                        violations.push(format!("{id} is {status}"));
                    }
                }
            }
            if self.provider.is_idempotent() && seen > 1 {
                violations.push(format!("{id} was seen {seen} times"));
            }
            violations.extend(self.event_violations(id).await);
        }
        violations
    }

    /// Checks that every attempt up to the last has one event.
    pub(crate) async fn event_violations(&self, id: MessageId) -> Vec<String> {
        let events = self.delivery_events(id).await;
        let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
        let attempts = events.iter().filter(|event| {
            event.kind == DeliveryEventKind::Attempt || event.kind == DeliveryEventKind::Expired
        });
        for attempt in attempts.filter_map(|event| event.attempt) {
            *counts.entry(attempt).or_default() += 1;
        }
        let known = self.message(id).await.progress.attempt;
        let last = counts.keys().max().copied().unwrap_or(0).max(known);
        (1..=last)
            .filter(|attempt| counts.get(attempt) != Some(&1))
            .map(|attempt| {
                let count = counts.get(&attempt).copied().unwrap_or(0);
                format!("attempt {attempt} of {id} has {count} events: {events:#?}")
            })
            .collect()
    }

    /// Returns pairs of messages to one recipient that were accepted in the wrong order; bodies are numbers in the
    /// order of sending.
    pub(crate) fn inversions(&self) -> Vec<String> {
        let mut last: HashMap<String, u64> = HashMap::new();
        let mut inversions = Vec::new();
        for accept in self.provider.accepts() {
            let number: u64 = accept.body.parse().unwrap();
            let last = last.entry(accept.to.clone()).or_default();
            if number < *last {
                inversions.push(format!("to {}: {number} after {last}", accept.to));
            }
            *last = number.max(*last);
        }
        inversions
    }

    /// Number of deliveries that will never be unblocked: blocked without another delivery before them in the
    /// conversation queue.
    pub(crate) async fn stranded(&self) -> usize {
        self.db
            .count(
                "deliveries d WHERE d.blocked AND NOT EXISTS (SELECT 1 FROM deliveries o \
                 WHERE o.conversation_id = d.conversation_id AND o.generation = d.generation AND NOT o.blocked AND o.state <> 'scheduled')",
            )
            .await
    }
}
