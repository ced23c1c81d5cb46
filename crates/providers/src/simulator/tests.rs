//! Tests of the simulator alone.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::*;
use crate::{
    AttemptId, Fault, FaultKind, InboundError, InboundMessage, WebhookRequest, WebhookState,
    Webhooks as _,
};
use http::StatusCode;
use parlance_domain::{Channel, Sender, SenderId, SenderStatus, Timestamp};

/// Records reports after refusing the first few.
#[derive(Default)]
struct ReportRecorder {
    refusals: Mutex<u32>,
    received: Mutex<Vec<ProviderReport>>,
    inbound: Mutex<Vec<InboundMessage>>,
    changed: Notify,
}

#[async_trait]
impl ProviderEvents for ReportRecorder {
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(RetryReport);
        }
        self.received.lock().unwrap().push(report);
        self.changed.notify_one();
        Ok(())
    }

    async fn inbound(&self, message: InboundMessage) -> Result<(), InboundError> {
        if message.to == UNKNOWN {
            return Err(InboundError::UnknownAddress);
        }
        self.inbound.lock().unwrap().push(message);
        Ok(())
    }
}

/// An address of ours that has no sender.
const UNKNOWN: &str = "+15550009999";

impl ReportRecorder {
    async fn next(&self) -> ProviderReport {
        loop {
            if let Some(report) = self.received.lock().unwrap().pop() {
                return report;
            }
            self.changed.notified().await;
        }
    }
}

fn simulator(refusals: u32) -> (Arc<ReportRecorder>, Arc<Simulator>) {
    let recorder = Arc::new(ReportRecorder {
        refusals: Mutex::new(refusals),
        ..ReportRecorder::default()
    });
    let simulator = Simulator::new(
        Arc::clone(&recorder) as Arc<dyn ProviderEvents>,
        Arc::new(|| Timestamp::from_micros(1)),
    );
    (recorder, simulator)
}

fn text(to: &str) -> Text {
    let at = Timestamp::from_micros(0);
    let sender = Sender {
        id: SenderId::new(at, [1; 10]),
        owner: Owner::default(),
        channel: Channel::Sms,
        address: "+15550001111".to_owned(),
        provider: NAME.to_owned(),
        credentials: String::new(),
        status: SenderStatus::Active,
        segments_per_second: 0,
        default_expiry: None,
        reply_domain: String::new(),
        messaging_service: String::new(),
        created_at: at,
        updated_at: at,
        version: 1,
    };
    Text {
        hand_over: HandOver {
            owner: Owner::default(),
            attempt: AttemptId {
                message_id: MessageId::new(at, [7; 10]),
                number: 1,
            },
            sender: Arc::new(sender),
            callback_url: None,
            expires_at: None,
        },
        from: "+15550001111".to_owned(),
        to: to.to_owned(),
        body: "hello".to_owned(),
        attachments: Vec::new(),
    }
}

fn all() -> SentQuery {
    SentQuery {
        owner: Owner::default(),
        to: None,
        limit: 10,
    }
}

#[tokio::test(start_paused = true)]
async fn delivers_and_reports_until_the_report_is_accepted() {
    let (recorder, simulator) = simulator(3);
    let outcome = simulator.send_text(text("+15552223333")).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(recorder.next().await.status, ReportStatus::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_message_handed_over_twice_is_delivered_once() {
    let (_, simulator) = simulator(0);
    let first = simulator.send_text(text("+15552223333")).await;
    let second = simulator.send_text(text("+15552223333")).await;
    assert_eq!(first, second);
    let sent = simulator.sent(&all());
    assert_eq!(
        sent.iter()
            .map(|sent| sent.times_accepted)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[tokio::test(start_paused = true)]
async fn the_recipient_address_selects_the_behaviour() {
    for magic in MAGIC_RECIPIENTS {
        let (recorder, simulator) = simulator(0);
        let first = simulator.send_text(text(magic.phone)).await;
        match magic.behaviour {
            Behaviour::Delivered => unreachable!("no magic is needed for this"),
            Behaviour::Undelivered => {
                assert!(matches!(first, Outcome::Accepted { .. }));
                assert_eq!(recorder.next().await.status, ReportStatus::Undelivered);
            }
            Behaviour::OptedOut | Behaviour::Invalid => {
                assert!(matches!(first, Outcome::Refused(_)));
                assert!(simulator.sent(&all()).is_empty());
            }
            Behaviour::AnswerLost => {
                assert!(matches!(first, Outcome::Lost(_)));
                assert_eq!(recorder.next().await.status, ReportStatus::Delivered);
            }
            Behaviour::Busy => {
                assert!(matches!(first, Outcome::Later { after: Some(_), .. }));
                assert!(matches!(
                    simulator.send_text(text(magic.phone)).await,
                    Outcome::Accepted { .. }
                ));
            }
        }
    }
    assert_eq!(Behaviour::of("busy@example.com"), Behaviour::Busy);
    assert_eq!(Behaviour::of("ana@example.com"), Behaviour::Delivered);
}

#[tokio::test(start_paused = true)]
async fn goes_on_reporting_after_a_restart() {
    let (recorder, simulator) = simulator(0);
    let message = text("+15005550101");
    let message_id = message.message_id();
    simulator.resume(message.hand_over.owner, message_id, &message.to);
    assert_eq!(recorder.next().await.status, ReportStatus::Undelivered);
}

/// A script and a clock of one owner.
#[tokio::test(start_paused = true)]
async fn the_script_and_the_clock_act_inside_the_process() {
    let (recorder, simulator) = simulator(0);
    let owner = Owner::default();
    let fault = |kind| Fault {
        kind,
        probability: 1.0,
        count: Some(1),
        delay: None,
        recipient: None,
    };
    let kinds = [
        FaultKind::TooManyRequests,
        FaultKind::ServerError,
        FaultKind::OptedOut,
        FaultKind::AcceptThenTimeout,
        FaultKind::Drop,
    ];
    let faults = kinds.map(fault).into();
    let script = Script { seed: 1, faults };
    simulator.set_script(&owner, script).unwrap();
    let send = || simulator.send_text(text("+15552223333"));
    assert!(matches!(send().await, Outcome::Later { .. }));
    assert!(matches!(send().await, Outcome::Lost(_)));
    assert!(matches!(send().await, Outcome::Refused(_)));
    assert!(simulator.sent(&all()).is_empty());
    assert!(matches!(send().await, Outcome::Lost(_)));
    assert!(matches!(send().await, Outcome::Accepted { .. }));
    assert_eq!(simulator.sent(&all()).len(), 1);

    let hour = Duration::from_hours(1);
    let now = simulator.advance_clock(&owner, hour).unwrap();
    assert_eq!(now, Timestamp::from_micros(1).plus(hour));
    let query = WebhookQuery {
        owner: owner.clone(),
        provider_message_id: None,
        limit: 10,
    };
    let [webhook] = &simulator.webhooks(&query)[..] else {
        panic!("one report")
    };
    assert_eq!(webhook.state, WebhookState::Dropped);
    assert!(recorder.received.lock().unwrap().is_empty());
    simulator.replay_webhook(&owner, &webhook.id).unwrap();
    assert_eq!(recorder.next().await.status, ReportStatus::Delivered);
    let unknown = simulator.replay_webhook(&owner, "no number");
    assert_eq!(unknown.unwrap_err(), NetworkError::UnknownWebhook);
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_hangs_until_the_clock_is_advanced() {
    let (_, simulator) = simulator(0);
    let hang = Fault {
        kind: FaultKind::Hang,
        probability: 1.0,
        count: None,
        delay: Some(Duration::from_hours(1)),
        recipient: None,
    };
    let faults = vec![hang];
    let owner = Owner::default();
    let script = Script { seed: 1, faults };
    simulator.set_script(&owner, script).unwrap();
    let begun = tokio::time::Instant::now();
    let sending = simulator.send_text(text("+15552223333"));
    let advancing = async {
        tokio::task::yield_now().await;
        simulator
            .advance_clock(&owner, Duration::from_hours(1))
            .unwrap();
    };
    let (outcome, ()) = tokio::join!(sending, advancing);
    assert!(matches!(outcome, Outcome::Lost(_)));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn published_test_numbers_have_their_meaning() {
    let (_, simulator) = simulator(0);
    let code = |outcome: Outcome| match outcome {
        Outcome::Refused(error) | Outcome::Later { error, .. } => error.provider_code,
        other @ (Outcome::Accepted { .. } | Outcome::Lost(_)) => panic!("{other:?}"),
    };
    let outcome = simulator.send_text(text("+15005550004")).await;
    assert_eq!(code(outcome), "21610");
    let outcome = simulator.send_text(text("+15005550009")).await;
    assert_eq!(code(outcome), "21614");
    let from_full = Text {
        from: "+15005550008".to_owned(),
        ..text("+15552223333")
    };
    let outcome = simulator.send_text(from_full).await;
    assert!(matches!(outcome, Outcome::Later { .. }), "{outcome:?}");
    assert_eq!(code(outcome), "21611");
    let outcome = simulator.send_text(text("+15005550006")).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }));
}

async fn post(recorder: &Arc<ReportRecorder>, path: &str, query: &str, body: &str) -> StatusCode {
    post_as(Some("application/json"), recorder, path, query, body).await
}

async fn post_as(
    content_type: Option<&'static str>,
    recorder: &Arc<ReportRecorder>,
    path: &str,
    query: &str,
    body: &str,
) -> StatusCode {
    let events = Arc::clone(recorder) as Arc<dyn ProviderEvents>;
    let webhooks = SimulatorWebhooks::new(events, Arc::new(|| Timestamp::from_micros(9)));
    let content_type = content_type.map(http::HeaderValue::from_static);
    let headers = content_type.map(|value| (http::header::CONTENT_TYPE, value));
    let request = WebhookRequest {
        path: path.to_owned(),
        query: query.to_owned(),
        url: String::new(),
        headers: headers.into_iter().collect(),
        body: body.to_owned().into(),
    };
    webhooks.handle(request).await.status
}

#[tokio::test]
async fn a_posted_status_becomes_a_report() {
    let (recorder, _) = simulator(1);
    let attempt = text("+15552223333").hand_over.attempt;
    let query = format!("attempt={attempt}");
    let body = r#"{"status":"undelivered","error":{"code":"unreachable","provider_code":"30003"}}"#;
    let status = post(&recorder, "status", &query, body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "not accepted yet");
    let status = post(&recorder, "status", &query, body).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let expected = ProviderReport {
        provider: NAME,
        owner: None,
        message: ReportedMessage::Message(attempt.message_id),
        provider_message_id: None,
        status: ReportStatus::Undelivered,
        error: Some(error("unreachable", "", "30003")),
        occurred_at: Timestamp::from_micros(9),
    };
    assert_eq!(recorder.next().await, expected);
}

#[tokio::test]
async fn a_posted_message_is_inbound() {
    let (recorder, _) = simulator(0);
    let body = |to: &str| {
        format!(r#"{{"id":"in-1","channel":"sms","from":"+15552223333","to":"{to}","body":"hi"}}"#)
    };
    let status = post(&recorder, "inbound", "", &body(UNKNOWN)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let status = post(&recorder, "inbound", "", &body("+15550001111")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let inbound = recorder.inbound.lock().unwrap();
    let received: Vec<_> = inbound
        .iter()
        .map(|message| (message.provider_message_id.as_str(), message.body.as_str()))
        .collect();
    assert_eq!(received, [("in-1", "hi")]);
}

/// A browser lets a page of any origin send these types without a preflight request.
#[tokio::test]
async fn webhooks_take_only_json() {
    let (recorder, _) = simulator(0);
    let body = r#"{"id":"in-1","channel":"sms","from":"+15552223333","to":"+15550001111"}"#;
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
    ] {
        let status = post_as(kind, &recorder, "inbound", "", body).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
    let kind = Some("application/json; charset=utf-8");
    let status = post_as(kind, &recorder, "inbound", "", body).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn malformed_webhooks_are_refused() {
    let (recorder, _) = simulator(0);
    let query = format!("attempt={}", text("+15552223333").hand_over.attempt);
    for (path, query, body) in [
        ("status", "", r#"{"status":"sent"}"#),
        ("status", query.as_str(), r#"{"status":"queued"}"#),
        ("status", query.as_str(), "status=sent"),
        ("inbound", "", "{}"),
        (
            "inbound",
            "",
            r#"{"id":"1","channel":"chat","from":"a","to":"b"}"#,
        ),
        (
            "inbound",
            "",
            r#"{"id":"","channel":"sms","from":"a","to":"b"}"#,
        ),
    ] {
        let status = post(&recorder, path, query, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
    }
}
