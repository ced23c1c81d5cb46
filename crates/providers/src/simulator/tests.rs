//! Tests of the simulator alone.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::*;
use parlance_domain::Timestamp;

/// Records reports after refusing the first few.
#[derive(Default)]
struct ReportRecorder {
    refusals: Mutex<u32>,
    received: Mutex<Vec<ProviderReport>>,
    changed: Notify,
}

#[async_trait]
impl Reports for ReportRecorder {
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
}

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
        Arc::clone(&recorder) as Arc<dyn Reports>,
        Arc::new(|| Timestamp::from_micros(1)),
    );
    (recorder, simulator)
}

fn text(to: &str) -> Text {
    Text {
        owner: Owner::default(),
        message_id: MessageId::new(Timestamp::from_micros(0), [7; 10]),
        attempt: 1,
        from: "+15550001111".to_owned(),
        to: to.to_owned(),
        body: "hello".to_owned(),
        attachments: Vec::new(),
    }
}

fn all() -> SeenQuery {
    SeenQuery {
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
    let seen = simulator.seen(&all());
    assert_eq!(
        seen.iter()
            .map(|seen| seen.times_accepted)
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
                assert!(simulator.seen(&all()).is_empty());
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
    let message = text("+15005550001");
    simulator.resume(message.owner, message.message_id, &message.to);
    assert_eq!(recorder.next().await.status, ReportStatus::Undelivered);
}
