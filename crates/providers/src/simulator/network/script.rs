//! Script in force of one account.

use std::time::Duration;

use super::random::Random;
use crate::{Fault, FaultKind, Script};

/// Time between a webhook and its duplicate, and of other faults without a delay of their own.
const DEFAULT_DELAY: Duration = Duration::from_secs(1);
/// How long a webhook is held back if no later one comes.
const MAX_HELD: Duration = Duration::from_secs(10);

/// Script with its counts and its random numbers.
#[derive(Debug)]
pub(super) struct ActiveScript {
    random: Random,
    faults: Vec<(Fault, u32)>,
}

/// What the script does to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WebhookPlan {
    pub(super) dropped: bool,
    pub(super) delay: Duration,
    /// Delays of the copies, after the first one.
    pub(super) copies: Vec<Duration>,
    /// How long it is held back for a later webhook.
    pub(super) held: Option<Duration>,
}

impl ActiveScript {
    pub(super) fn new(script: Script) -> Self {
        let Script { seed, faults } = script;
        let faults = faults.into_iter().take(Script::MAX_FAULTS);
        Self {
            random: Random::new(seed),
            faults: faults.map(|fault| (fault, 0)).collect(),
        }
    }

    /// Decides about a message to this recipient: the first fault that hits.
    pub(super) fn hand_over(&mut self, recipient: &str) -> Option<(FaultKind, Option<Duration>)> {
        let Self { random, faults } = self;
        let mut concerned = faults
            .iter_mut()
            .filter(|(fault, _)| fault.kind.concerns_hand_over());
        concerned.find_map(|(fault, hits)| {
            hit(random, fault, hits, recipient).then_some((fault.kind, fault.delay))
        })
    }

    /// Decides about a webhook that concerns this customer: all faults that hit.
    pub(super) fn webhook(&mut self, customer: &str) -> WebhookPlan {
        let Self { random, faults } = self;
        let mut plan = WebhookPlan::default();
        for (fault, hits) in faults {
            if fault.kind.concerns_hand_over() || !hit(random, fault, hits, customer) {
                continue;
            }
            let delay = fault.delay.unwrap_or(DEFAULT_DELAY);
            match fault.kind {
                FaultKind::Drop => plan.dropped = true,
                FaultKind::Delay => plan.delay = plan.delay.saturating_add(delay),
                FaultKind::Duplicate => plan.copies.push(fault.delay.unwrap_or_default()),
                FaultKind::Reorder => plan.held = Some(fault.delay.unwrap_or(MAX_HELD)),
                FaultKind::AcceptThenTimeout
                | FaultKind::TooManyRequests
                | FaultKind::ServerError
                | FaultKind::Hang
                | FaultKind::OptedOut => {}
            }
        }
        plan
    }
}

/// Decides whether a fault hits. A number is drawn only for a fault that could hit, so that a fault for one recipient
/// does not depend on the messages to others.
fn hit(random: &mut Random, fault: &Fault, hits: &mut u32, address: &str) -> bool {
    let concerned = fault.recipient.as_ref().is_none_or(|it| it == address)
        && fault.count.is_none_or(|count| *hits < count);
    let hit = concerned && random.hits(fault.probability);
    *hits = hits.saturating_add(u32::from(hit));
    hit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault {
            kind,
            probability: 1.0,
            count: None,
            delay: None,
            recipient: None,
        }
    }

    fn active(seed: u64, faults: Vec<Fault>) -> ActiveScript {
        ActiveScript::new(Script { seed, faults })
    }

    #[test]
    fn a_fault_has_a_count_and_a_recipient() {
        let limited = Fault {
            count: Some(2),
            recipient: Some("+1".to_owned()),
            ..fault(FaultKind::ServerError)
        };
        let mut script = active(1, vec![limited]);
        let hits = ["+1", "+2", "+1", "+1"].map(|to| script.hand_over(to).is_some());
        assert_eq!(hits, [true, false, true, false]);
    }

    #[test]
    fn a_hand_over_gets_the_first_fault_and_a_webhook_gets_all() {
        let faults = [
            FaultKind::Hang,
            FaultKind::OptedOut,
            FaultKind::Delay,
            FaultKind::Duplicate,
            FaultKind::Delay,
        ];
        let mut script = active(1, faults.map(fault).into());
        assert_eq!(script.hand_over("+1"), Some((FaultKind::Hang, None)));
        let expected = WebhookPlan {
            delay: 2 * DEFAULT_DELAY,
            copies: vec![Duration::ZERO],
            ..WebhookPlan::default()
        };
        assert_eq!(script.webhook("+1"), expected);
    }

    #[test]
    fn the_seed_determines_which_webhooks_are_dropped() {
        let dropped = |seed| -> Vec<bool> {
            let half = Fault {
                probability: 0.5,
                ..fault(FaultKind::Drop)
            };
            let mut script = active(seed, vec![half]);
            (0..64).map(|_| script.webhook("+1").dropped).collect()
        };
        assert_eq!(dropped(1), dropped(1));
        assert_ne!(dropped(1), dropped(2));
    }
}
