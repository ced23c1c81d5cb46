//! What must hold at the end. A checker says what is wrong; that it can is shown where a guard is off.

use std::collections::{BTreeMap, HashMap};

use parlance_app::messages::DeliveryEventKind;
use parlance_domain::{DeliveryPolicy, MessageId, MessageStatus};

use super::World;

impl World {
    /// None is lost, none is doubled that must not be, and the service knows what happened to each.
    pub(crate) async fn wrongs(&self, messages: &[MessageId]) -> Vec<String> {
        let mut wrong = Vec::new();
        for &id in messages {
            let message = self.message(id).await;
            let (accepted, seen) = (self.far.accepted(id), self.far.seen(id));
            let status = message.progress.status;
            match message.policy {
                DeliveryPolicy::AtLeastOnce => {
                    if accepted == 0 {
                        wrong.push(format!("{id} is lost; it is {status}"));
                    }
                    if status != MessageStatus::Sent {
                        wrong.push(format!("{id} is {status}, and was taken"));
                    }
                }
                DeliveryPolicy::AtMostOnce => {
                    if accepted > 1 {
                        wrong.push(format!("{id} was handed over twice"));
                    }
                    if status == MessageStatus::Sent && accepted == 0 {
                        wrong.push(format!("{id} is SENT, and nobody took it"));
                    }
                    if status != MessageStatus::Sent && status != MessageStatus::Uncertain {
                        wrong.push(format!("{id} is {status}"));
                    }
                }
            }
            if self.far.is_idempotent() && seen > 1 {
                wrong.push(format!("{id} was seen {seen} times"));
            }
            wrong.extend(self.wrong_story(id).await);
        }
        wrong
    }

    /// Every attempt up to the last has one line.
    pub(crate) async fn wrong_story(&self, id: MessageId) -> Vec<String> {
        let story = self.story(id).await;
        let mut lines: BTreeMap<i32, usize> = BTreeMap::new();
        let attempts = story.iter().filter(|event| {
            event.kind == DeliveryEventKind::Attempt || event.kind == DeliveryEventKind::Expired
        });
        for attempt in attempts.filter_map(|event| event.attempt) {
            *lines.entry(attempt).or_default() += 1;
        }
        let known = self.message(id).await.progress.attempt;
        let last = lines.keys().max().copied().unwrap_or(0).max(known);
        (1..=last)
            .filter(|attempt| lines.get(attempt) != Some(&1))
            .map(|attempt| {
                let count = lines.get(&attempt).copied().unwrap_or(0);
                format!("attempt {attempt} of {id} has {count} lines: {story:#?}")
            })
            .collect()
    }

    /// Pairs of one recipient that were taken the other way round: bodies are the numbers in the order of sending.
    pub(crate) fn inversions(&self) -> Vec<String> {
        let mut last: HashMap<String, u64> = HashMap::new();
        let mut inversions = Vec::new();
        for accept in self.far.accepts() {
            let number: u64 = accept.body.parse().unwrap();
            let last = last.entry(accept.to.clone()).or_default();
            if number < *last {
                inversions.push(format!("to {}: {number} after {last}", accept.to));
            }
            *last = number.max(*last);
        }
        inversions
    }

    /// Jobs that nobody will ever free: blocked, and no other of their conversation is in the line before them.
    pub(crate) async fn stranded(&self) -> usize {
        self.db
            .count(
                "deliveries d WHERE d.blocked AND NOT EXISTS (SELECT 1 FROM deliveries o \
                 WHERE o.conversation_id = d.conversation_id AND o.generation = d.generation AND NOT o.blocked AND o.state <> 'scheduled')",
            )
            .await
    }
}
