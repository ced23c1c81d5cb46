//! The simulator, alone.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::*;
use parlance_domain::Timestamp;

/// Hears reports; refuses the first few.
#[derive(Default)]
struct Ears {
    refusals: Mutex<u32>,
    heard: Mutex<Vec<ProviderReport>>,
    news: Notify,
}

#[async_trait]
impl Reports for Ears {
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(RetryReport);
        }
        self.heard.lock().unwrap().push(report);
        self.news.notify_one();
        Ok(())
    }
}

impl Ears {
    async fn next(&self) -> ProviderReport {
        loop {
            if let Some(report) = self.heard.lock().unwrap().pop() {
                return report;
            }
            self.news.notified().await;
        }
    }
}

fn simulator(refusals: u32) -> (Arc<Ears>, Arc<Simulator>) {
    let ears = Arc::new(Ears {
        refusals: Mutex::new(refusals),
        ..Ears::default()
    });
    let simulator = Simulator::new(
        Arc::clone(&ears) as Arc<dyn Reports>,
        Arc::new(|| Timestamp::from_micros(1)),
    );
    (ears, simulator)
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
async fn delivers_and_tells_until_it_is_heard() {
    let (ears, simulator) = simulator(3);
    let outcome = simulator.send_text(text("+15552223333")).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(ears.next().await.status, ReportStatus::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_message_handed_over_twice_is_there_once() {
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
async fn behaves_as_the_address_asks() {
    for magic in MAGIC_RECIPIENTS {
        let (ears, simulator) = simulator(0);
        let first = simulator.send_text(text(magic.phone)).await;
        match magic.behaviour {
            Behaviour::Delivered => unreachable!("no magic is needed for this"),
            Behaviour::Undelivered => {
                assert!(matches!(first, Outcome::Accepted { .. }));
                assert_eq!(ears.next().await.status, ReportStatus::Undelivered);
            }
            Behaviour::OptedOut | Behaviour::Invalid => {
                assert!(matches!(first, Outcome::Refused(_)));
                assert!(simulator.seen(&all()).is_empty());
            }
            Behaviour::AnswerLost => {
                assert!(matches!(first, Outcome::Lost(_)));
                assert_eq!(ears.next().await.status, ReportStatus::Delivered);
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
    let (ears, simulator) = simulator(0);
    let message = text("+15005550001");
    simulator.resume(message.owner, message.message_id, &message.to);
    assert_eq!(ears.next().await.status, ReportStatus::Undelivered);
}
