//! Tests of the state machine: events in, effects out.

use super::*;
use crate::{Fault, FaultKind, WebhookState};

const ACCOUNT: &str = "AC1";
const OURS: &str = "+15550001111";
const THEIRS: &str = "+15552223333";
const CALLBACK: &str = "http://127.0.0.1/status";

/// A network whose time of day stands still, so that only its own clock moves.
struct Bench {
    network: Network,
    answer: WebhookResult,
}

fn start() -> Time {
    Time {
        elapsed: Duration::ZERO,
        now: Timestamp::from_micros(1_000_000_000),
    }
}

impl Bench {
    fn new(seed: u64) -> Self {
        Self::limited(seed, 0)
    }

    fn limited(seed: u64, max_waiting: usize) -> Self {
        let settings = Settings {
            seed,
            every_status: true,
            inbound_url: "http://127.0.0.1/inbound".to_owned(),
            base_url: "http://127.0.0.1:8090".to_owned(),
            max_waiting,
        };
        Self {
            network: Network::new(settings),
            answer: WebhookResult::Answered(200),
        }
    }

    fn script(&mut self, faults: &[Fault]) {
        let script = Script {
            seed: 7,
            faults: faults.to_vec(),
        };
        self.network.set_script(ACCOUNT, script).unwrap();
    }

    fn submit(&mut self, change: impl FnOnce(&mut Submission)) -> Decision {
        let mut submission = Submission {
            account: ACCOUNT.to_owned(),
            from: OURS.to_owned(),
            to: THEIRS.to_owned(),
            body: "hi".to_owned(),
            callback: CALLBACK.to_owned(),
            ..Submission::default()
        };
        change(&mut submission);
        self.network.submit(submission, start())
    }

    fn accepted(&mut self, change: impl FnOnce(&mut Submission)) -> String {
        let decision = self.submit(change);
        let Decision::Accepted(sid) = decision else {
            panic!("{decision:?}")
        };
        sid
    }

    fn refused(&mut self, change: impl FnOnce(&mut Submission)) -> u32 {
        let decision = self.submit(change);
        let Decision::Refused(refusal) = decision else {
            panic!("{decision:?}")
        };
        refusal.code
    }

    /// Advances the clock and answers every webhook. Returns what was sent: message and status.
    fn advance(&mut self, millis: u64) -> Vec<(String, &'static str)> {
        let by = Duration::from_millis(millis);
        self.network.advance_clock(ACCOUNT, by, start()).unwrap();
        self.answer_all()
    }

    fn answer_all(&mut self) -> Vec<(String, &'static str)> {
        let mut sent = Vec::new();
        loop {
            let effects = self.network.take_effects();
            if effects.is_empty() {
                return sent;
            }
            for Effect::Send { id, webhook } in effects {
                sent.push((webhook.sid.clone(), webhook.status.as_str()));
                self.network.webhook_finished(id, &webhook.sid, self.answer);
            }
        }
    }

    fn statuses(&mut self, millis: u64) -> Vec<&'static str> {
        let sent = self.advance(millis);
        sent.into_iter().map(|(_, status)| status).collect()
    }

    fn status(&self, sid: &str) -> Status {
        self.network.message(ACCOUNT, sid).unwrap().status
    }
}

fn inbound(body: &str) -> InboundText {
    InboundText {
        account: ACCOUNT.to_owned(),
        from: THEIRS.to_owned(),
        to: OURS.to_owned(),
        body: body.to_owned(),
        media: Vec::new(),
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        probability: 1.0,
        count: Some(1),
        delay: None,
        recipient: None,
    }
}

#[test]
fn a_message_is_queued_sent_and_delivered() {
    let mut bench = Bench::new(1);
    let sid = bench.accepted(|_| {});
    assert_eq!(bench.status(&sid), Status::Queued);
    assert_eq!(bench.statuses(99), [""; 0]);
    assert_eq!(bench.statuses(1), ["sent"]);
    let message = bench.network.message(ACCOUNT, &sid).unwrap().clone();
    assert_eq!(
        message.sent_at,
        Some(start().now.plus(Duration::from_millis(100)))
    );
    assert_eq!(bench.statuses(150), ["delivered"]);
    assert_eq!(bench.statuses(10_000), [""; 0]);
    assert_eq!(bench.network.next_tick(), None);
}

#[test]
fn a_messaging_service_reports_the_queue_and_chooses_the_sender() {
    let mut bench = Bench::new(1);
    let sid = bench.accepted(|it| {
        it.from = String::new();
        it.service = "MG1".to_owned();
    });
    assert_eq!(bench.status(&sid), Status::Accepted);
    assert_eq!(bench.statuses(1_000), ["queued", "sent", "delivered"]);
    let message = bench.network.message(ACCOUNT, &sid).unwrap();
    assert_eq!(message.from, "+15005550006");
}

#[test]
fn a_scheduled_message_waits_and_can_be_canceled() {
    let mut bench = Bench::new(1);
    let mut scheduled = || {
        bench.accepted(|it| {
            it.service = "MG1".to_owned();
            it.send_at = Some(start().now.plus(Duration::from_hours(1)));
        })
    };
    let (canceled, sent) = (scheduled(), scheduled());
    assert!(bench.network.cancel(&canceled, start()));
    assert_eq!(bench.answer_all(), [(canceled.clone(), "canceled")]);
    assert_eq!(bench.statuses(3_599_999), [""; 0]);
    assert_eq!(bench.statuses(1_000), ["queued", "sent", "delivered"]);
    assert!(!bench.network.cancel(&sent, start()));
    assert_eq!(bench.status(&canceled), Status::Canceled);
}

#[test]
fn test_recipients_have_their_outcomes() {
    let mut bench = Bench::new(1);
    let to = |to: &'static str| move |it: &mut Submission| it.to = to.to_owned();
    assert_eq!(bench.refused(to("+15005550102")), 21_610);
    assert_eq!(bench.refused(to("+15005550105")), 21_211);
    assert_eq!(bench.refused(to("+15005550009")), 21_614);
    let from = |it: &mut Submission| it.from = "+15005550007".to_owned();
    assert_eq!(bench.refused(from), 21_606);
    assert_eq!(
        bench.submit(to("+15005550103")),
        Decision::Silent { delay: None }
    );
    assert_eq!(
        bench.submit(to("+15005550104")),
        Decision::TooManyRequests { after: None }
    );
    bench.accepted(to("+15005550104"));
    let sid = bench.accepted(to("+15005550101"));
    bench.advance(1_000);
    let message = bench.network.message(ACCOUNT, &sid).unwrap();
    assert_eq!(
        (message.status, message.error),
        (Status::Undelivered, Some(30_003))
    );
    assert_eq!(bench.network.messages(ACCOUNT).count(), 3);
}

#[test]
fn every_fault_of_a_hand_over_happens_as_often_as_its_count() {
    for (kind, expected) in [
        (
            FaultKind::AcceptThenTimeout,
            Decision::Silent { delay: None },
        ),
        (
            FaultKind::TooManyRequests,
            Decision::TooManyRequests { after: None },
        ),
        (FaultKind::ServerError, Decision::ServerError),
        (
            FaultKind::Hang,
            Decision::Silent {
                delay: Some(Duration::from_mins(1)),
            },
        ),
        (FaultKind::OptedOut, Decision::Refused(Refusal::opted_out())),
    ] {
        let mut bench = Bench::new(1);
        bench.script(&[fault(kind)]);
        assert_eq!(bench.submit(|_| {}), expected);
        let kept = bench.network.messages(ACCOUNT).count();
        let is_accepted = kind == FaultKind::AcceptThenTimeout;
        assert_eq!(kept, usize::from(is_accepted), "{kind:?}");
        bench.accepted(|_| {});
    }
}

#[test]
fn a_duplicate_is_sent_twice_and_listed_once() {
    let mut bench = Bench::new(1);
    bench.script(&[fault(FaultKind::Duplicate)]);
    bench.accepted(|_| {});
    assert_eq!(bench.statuses(1_000), ["sent", "sent", "delivered"]);
    let attempts: Vec<_> = bench
        .network
        .webhooks(ACCOUNT)
        .map(|(_, webhook)| webhook.attempts)
        .collect();
    assert_eq!(attempts, [1, 2]);
}

#[test]
fn a_reordered_webhook_follows_the_next_one_or_comes_late() {
    let mut bench = Bench::new(1);
    bench.script(&[fault(FaultKind::Reorder)]);
    bench.accepted(|_| {});
    assert_eq!(bench.statuses(1_000), ["delivered", "sent"]);
    bench.script(&[Fault {
        count: None,
        ..fault(FaultKind::Reorder)
    }]);
    bench.accepted(|_| {});
    assert_eq!(bench.statuses(10_000), [""; 0]);
    assert_eq!(bench.statuses(1_000), ["sent", "delivered"]);
}

#[test]
fn a_dropped_webhook_can_be_replayed() {
    let mut bench = Bench::new(1);
    bench.script(&[fault(FaultKind::Drop)]);
    let sid = bench.accepted(|_| {});
    assert_eq!(bench.statuses(1_000), ["delivered"]);
    let dropped = |bench: &Bench| {
        let mut webhooks = bench.network.webhooks(ACCOUNT);
        let found = webhooks.find(|(_, webhook)| webhook.status == Status::Sent);
        found
            .map(|(id, webhook)| (id, webhook.state, webhook.attempts))
            .unwrap()
    };
    let (id, state, attempts) = dropped(&bench);
    assert_eq!((state, attempts), (WebhookState::Dropped, 0));
    bench.network.replay_webhook(ACCOUNT, id).unwrap();
    assert_eq!(bench.answer_all(), [(sid, "sent")]);
    assert_eq!(dropped(&bench), (id, WebhookState::Delivered, 1));
    let foreign = bench.network.replay_webhook("AC2", id).map(|_| ());
    assert_eq!(foreign, Err(NetworkError::UnknownWebhook));
}

#[test]
fn a_delayed_webhook_comes_later() {
    let mut bench = Bench::new(1);
    let delay = Some(Duration::from_mins(1));
    bench.script(&[Fault {
        delay,
        ..fault(FaultKind::Delay)
    }]);
    bench.accepted(|_| {});
    assert_eq!(bench.statuses(60_099), ["delivered"]);
    assert_eq!(bench.statuses(1), ["sent"]);
}

#[test]
fn webhooks_of_a_message_are_sent_one_after_another() {
    let mut bench = Bench::new(1);
    bench.accepted(|_| {});
    let by = Duration::from_secs(1);
    bench.network.advance_clock(ACCOUNT, by, start()).unwrap();
    let first = bench.network.take_effects();
    let [Effect::Send { id, webhook }] = &first[..] else {
        panic!("{first:?}")
    };
    assert_eq!(webhook.status, Status::Sent);
    let result = WebhookResult::Answered(500);
    bench.network.webhook_finished(*id, &webhook.sid, result);
    let second = bench.network.take_effects();
    assert_eq!(second.len(), 1);
    let states: Vec<_> = bench
        .network
        .webhooks(ACCOUNT)
        .map(|(_, webhook)| (webhook.state, webhook.result.as_str()))
        .collect();
    assert_eq!(
        states,
        [
            (WebhookState::Sending, ""),
            (WebhookState::Failed, "HTTP 500")
        ]
    );
}

#[test]
fn a_webhook_is_repeated_as_its_fragment_says_and_without_the_fragment() {
    let mut bench = Bench::new(1);
    bench.answer = WebhookResult::Answered(503);
    bench.accepted(|it| it.callback = format!("{CALLBACK}#rc=2&rp=5xx"));
    assert_eq!(bench.statuses(100), ["sent"; 3]);
    let (_, webhook) = bench.network.webhooks(ACCOUNT).next().unwrap();
    assert_eq!(webhook.url, CALLBACK);
    assert_eq!((webhook.attempts, webhook.state), (3, WebhookState::Failed));
}

#[test]
fn an_inbound_message_is_posted_and_keywords_are_obeyed() {
    let mut bench = Bench::new(1);
    let say = |bench: &mut Bench, body: &str| {
        let message = bench.network.receive(inbound(body), start());
        let sid = message.map(|message| message.sid.clone());
        assert_eq!(bench.answer_all(), [(sid.unwrap(), "received")]);
    };
    say(&mut bench, "Thank you!");
    say(&mut bench, "yes");
    assert_eq!(bench.network.messages(ACCOUNT).count(), 2);
    say(&mut bench, " Stop ");
    assert_eq!(bench.refused(|_| {}), 21_610);
    bench.accepted(|it| it.from = "+15550002222".to_owned());
    say(&mut bench, "START");
    bench.accepted(|_| {});
    let replies = bench.network.messages(ACCOUNT);
    let replies: Vec<_> = replies
        .filter(|message| message.direction == Direction::Reply)
        .map(|message| (message.from.as_str(), message.to.as_str()))
        .collect();
    assert_eq!(replies, [(OURS, THEIRS); 2]);
}

#[test]
fn an_opt_out_concerns_the_messaging_service_that_wrote() {
    let mut bench = Bench::new(1);
    let by_service = |it: &mut Submission| it.service = "MG1".to_owned();
    bench.accepted(by_service);
    bench.advance(1_000);
    bench.network.receive(inbound("STOP"), start()).unwrap();
    assert_eq!(bench.refused(by_service), 21_610);
    let other = |it: &mut Submission| {
        it.service = "MG1".to_owned();
        it.from = "+15550002222".to_owned();
    };
    assert_eq!(bench.refused(other), 21_610, "all numbers of the service");
    bench.accepted(|_| {});
}

#[test]
fn a_repeated_submission_with_an_id_is_one_message() {
    let mut bench = Bench::new(1);
    let named = |it: &mut Submission| it.sid = Some("sim-1".to_owned());
    assert_eq!(bench.accepted(named), bench.accepted(named));
    let times: Vec<_> = bench
        .network
        .messages(ACCOUNT)
        .map(|message| message.times_accepted)
        .collect();
    assert_eq!(times, [2]);
    assert_eq!(bench.statuses(1_000), ["sent", "delivered"]);
}

/// A trace of two hundred messages under a script, as a user sees it.
fn trace(seed: u64, script_seed: u64) -> Vec<String> {
    let mut bench = Bench::new(seed);
    let half = |kind| Fault {
        probability: 0.5,
        count: None,
        delay: Some(Duration::from_millis(70)),
        ..fault(kind)
    };
    let kinds = [
        FaultKind::ServerError,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::Drop,
        FaultKind::Delay,
    ];
    let script = Script {
        seed: script_seed,
        faults: kinds.map(half).into(),
    };
    bench.network.set_script(ACCOUNT, script).unwrap();
    let mut trace = Vec::new();
    for number in 0..200 {
        let decision = bench.submit(|it| it.body = number.to_string());
        trace.push(format!("{decision:?}"));
        trace.push(format!("{:?}", bench.advance(37)));
    }
    trace.push(format!("{:?}", bench.advance(60_000)));
    trace
}

#[test]
fn the_same_seeds_give_the_same_trace() {
    assert_eq!(trace(1, 2), trace(1, 2));
    assert_ne!(trace(1, 2), trace(1, 3));
    assert_ne!(trace(1, 2), trace(2, 2));
}

#[test]
fn each_account_has_its_own_script_and_clock() {
    let mut bench = Bench::new(1);
    bench.script(&[fault(FaultKind::ServerError)]);
    let other = |it: &mut Submission| it.account = "AC2".to_owned();
    let sid = bench.accepted(other);
    bench.advance(1_000);
    let message = bench.network.message("AC2", &sid).unwrap();
    assert_eq!(message.status, Status::Queued);
    assert!(bench.network.message(ACCOUNT, &sid).is_none());
    assert_eq!(bench.submit(|_| {}), Decision::ServerError);
}

#[test]
fn webhooks_of_too_many_messages_fail() {
    let mut bench = Bench::limited(1, 2);
    let sids = [(); 3].map(|()| bench.accepted(|_| {}));
    let by = Duration::from_secs(1);
    bench.network.advance_clock(ACCOUNT, by, start()).unwrap();
    let sent = bench.answer_all();
    assert_eq!(sent.len(), 4, "two messages have two webhooks each");
    assert!(sent.iter().all(|(sid, _)| *sid != sids[2]));
    let failed = bench
        .network
        .webhooks(ACCOUNT)
        .filter(|(_, webhook)| webhook.sid == sids[2] && webhook.state == WebhookState::Failed);
    assert_eq!(failed.count(), 2);
    bench.accepted(|_| {});
    assert_eq!(bench.statuses(1_000), ["sent", "delivered"]);
}

#[test]
fn the_clock_has_an_end() {
    let mut bench = Bench::new(1);
    let advanced = bench.network.advance_clock(ACCOUNT, Duration::MAX, start());
    assert_eq!(advanced, Err(NetworkError::ClockOverflow));
    assert_eq!(bench.network.now(ACCOUNT, start()), start().now);
}
