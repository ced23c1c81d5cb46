//! Reports in any order, repeated, and before the dispatcher's own commit: the final state is their join.

use std::time::Duration;

use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{MessageId, MessageStatus, Timestamp};
use parlance_providers::{ProviderEvents as _, ProviderReport, ReportedMessage};

use crate::support::{Dice, HOUR, Outgoing, SECOND, Step, World, pace, scale, seed};

/// Sends a provider report.
pub(crate) async fn report(world: &World, message_id: MessageId, status: ReportStatus) {
    report_at(world, message_id, status, world.now()).await;
}

async fn report_at(
    world: &World,
    message_id: MessageId,
    status: ReportStatus,
    occurred_at: Timestamp,
) {
    let error = status.is_negative().then(|| ReportedError {
        code: format!("{status:?}"),
        message: "reported by the provider".to_owned(),
        provider_code: String::new(),
    });
    let report = ProviderReport {
        provider: "fake",
        owner: Some(world.owner.clone()),
        message: ReportedMessage::Message(message_id),
        provider_message_id: None,
        status,
        error,
        occurred_at,
    };
    world.front.report(report).await.unwrap();
}

/// A message and its reports before and after the dispatcher's commit.
struct Plan {
    id: MessageId,
    early: Vec<(ReportStatus, Timestamp)>,
    late: Vec<(ReportStatus, Timestamp)>,
}

impl Plan {
    fn of(id: MessageId, start: Timestamp, dice: &mut Dice) -> Self {
        let mut reports = Vec::new();
        for &status in ReportStatus::ALL {
            if dice.below(3) > 0 {
                let at = start.plus(Duration::from_secs(dice.next() % 100));
                // Up to three times each, as some providers repeat them.
                reports.extend(std::iter::repeat_n((status, at), 1 + dice.below(3)));
            }
        }
        dice.shuffle(&mut reports);
        let late = reports.split_off(dice.below(reports.len() + 1));
        Self {
            id,
            early: reports,
            late,
        }
    }

    /// Returns the highest report in any order; the dispatcher's own SENT is one of them.
    fn join(&self) -> MessageStatus {
        let all = self.early.iter().chain(&self.late);
        all.map(|(status, _)| *status)
            .max()
            .unwrap_or(ReportStatus::Sent)
            .into()
    }

    fn earliest(&self, wanted: ReportStatus) -> Option<Timestamp> {
        let all = self.early.iter().chain(&self.late);
        all.filter(|(status, _)| *status == wanted)
            .map(|(_, at)| *at)
            .min()
    }

    /// Returns the state of a service in which the last report wins.
    fn last_report(&self) -> MessageStatus {
        let all = self.early.iter().chain(&self.late);
        all.map(|(status, _)| *status)
            .next_back()
            .unwrap_or(ReportStatus::Sent)
            .into()
    }

    /// Returns the state of a service in which the first final report wins.
    fn first_final(&self) -> MessageStatus {
        let mut all = self
            .early
            .iter()
            .chain(&self.late)
            .map(|(status, _)| *status);
        let found = all.find(|status| *status != ReportStatus::Sent);
        found.unwrap_or(ReportStatus::Sent).into()
    }
}

/// Number of messages with a state other than the join.
fn divergences(plans: &[Plan], shown: impl Fn(&Plan) -> MessageStatus) -> usize {
    plans
        .iter()
        .filter(|plan| shown(plan) != plan.join())
        .count()
}

async fn merged(world: &World, scheduled: bool) {
    let mut dice = Dice(seed("reports"));
    let count = 60 * scale();
    let due = world.now().plus(HOUR);
    let sent = world
        .send_to_each(0..count, |outgoing| {
            if scheduled {
                outgoing.at(due)
            } else {
                outgoing
            }
        })
        .await;
    let dispatcher = world.dispatcher(pace()).await;
    dispatcher.wire.hold(Some(Step::Accepted));
    if scheduled {
        world.clock.advance(HOUR + SECOND);
    }
    dispatcher.wire.until_held(count).await;
    let start = world.now();
    let plans: Vec<Plan> = sent
        .into_iter()
        .map(|id| Plan::of(id, start, &mut dice))
        .collect();
    for plan in &plans {
        for (status, at) in &plan.early {
            report_at(world, plan.id, *status, *at).await;
        }
    }
    dispatcher.wire.hold(None);
    dispatcher.go_down().await;
    for plan in &plans {
        for (status, at) in &plan.late {
            report_at(world, plan.id, *status, *at).await;
        }
    }
    let mut early = 0;
    for plan in &plans {
        let message = world.message(plan.id).await;
        let progress = &message.progress;
        assert_eq!(
            progress.status,
            plan.join(),
            "{:?} then {:?}",
            plan.early,
            plan.late
        );
        assert_eq!(
            message.provider_message_id,
            Some(format!("fake-{}", plan.id))
        );
        assert_eq!(progress.attempt, 1);
        // The dispatcher recorded it at `start`.
        assert_eq!(
            progress.sent_at,
            plan.earliest(ReportStatus::Sent)
                .map_or(Some(start), |at| Some(at.min(start)))
        );
        assert_eq!(
            progress.delivered_at,
            plan.earliest(ReportStatus::Delivered)
        );
        assert_eq!(progress.read_at, plan.earliest(ReportStatus::Read));
        let negative = [ReportStatus::Undelivered, ReportStatus::Failed]
            .into_iter()
            .find(|status| plan.earliest(*status).is_some());
        assert_eq!(progress.error.as_ref().map(|fault| fault.from), negative);
        let events = world.delivery_events(plan.id).await;
        assert_eq!(
            events.len(),
            1 + plan.early.len() + plan.late.len(),
            "each report is recorded: {events:#?}"
        );
        early += usize::from(!plan.early.is_empty());
    }
    assert!(early > 0 && world.db.count("deliveries").await == 0);
    assert_eq!(
        world.provider.calls(),
        count,
        "a report does not cause another hand-over"
    );
    eprintln!("{count} messages, {early} of them with reports before the commit");

    // Guard off: other rules give other results for the same reports.
    assert_eq!(divergences(&plans, Plan::join), 0);
    assert_ne!(divergences(&plans, Plan::last_report), 0);
    assert_ne!(divergences(&plans, Plan::first_final), 0);
}

on_both! {
    async fn are_merged(world: World) {
        merged(&world, false).await;
    }

    /// A scheduled message is in progress before its status shows it.
    async fn are_merged_for_scheduled_messages(world: World) {
        merged(&world, true).await;
    }

    /// A report during the wait for the next attempt ends the wait.
    async fn end_the_wait_after_a_lost_response(world: World) {
        world.provider.answers(|_, _| crate::support::Answer::LostTaken);
        let _dispatcher = world.dispatcher(pace()).await;
        let ids = world.send_to_each(0..4, |outgoing| outgoing).await;
        for &id in &ids {
            world.until_status(id, MessageStatus::Uncertain).await;
            report(&world, id, ReportStatus::Delivered).await;
        }
        assert_eq!(world.db.count("deliveries").await, 0);
        world.clock.advance(HOUR);
        let last = world.send(Outgoing::to(9)).await;
        world.until_status(last.id, MessageStatus::Uncertain).await;
        assert_eq!(world.provider.calls(), 5);
        for id in ids {
            assert_eq!(world.status(id).await, MessageStatus::Delivered);
        }
    }

    /// A report about a scheduled message is an error, and does not prevent its delivery.
    async fn about_scheduled_messages_are_refused(world: World) {
        let message = world.send(Outgoing::to(1).at(world.now().plus(HOUR))).await;
        report(&world, message.id, ReportStatus::Delivered).await;
        assert_eq!(world.status(message.id).await, MessageStatus::Scheduled);
        assert_eq!(world.db.count("deliveries").await, 1);
    }
}
