//! The service is killed (SIGKILL).

use parlance_proto::v1::EventType;
use parlance_tests::{Caller, Kind, Service, Watching};

use crate::load::Load;

const CONCURRENT_SENDS: usize = 64;

async fn killed_during_sends(kind: Kind) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let mut load = Load::new(&caller, 10, 0).await;
    let watched = load.clone();
    let killing = async {
        watched.until_acknowledged(500).await;
        service.kill9();
    };
    let sending = load.send_until_killed(&caller, CONCURRENT_SENDS);
    let ((sent, refused), ()) = tokio::join!(sending, killing);
    assert!(refused >= CONCURRENT_SENDS);
    assert_eq!(load.acknowledged() + refused, sent);

    service.start_again().await;
    let caller = Caller::as_owner(&service, caller.owner());
    load.verify_acknowledged(&caller).await;
    load.send_until_acknowledged(std::slice::from_ref(&caller))
        .await;
    load.verify(&caller).await;
    // Deliveries continue meanwhile, so the statistics are compared only if they were the same before and after the
    // reads.
    parlance_testkit::eventually(parlance_tests::SOON, async || {
        let (before, read) = (caller.stats("").await, caller.stats_by_reading("").await);
        (before == read).then_some(())
    })
    .await;
    assert_feed_is_complete(caller.watch_from("0").await, sent).await;
}

/// Asserts that the feed has every message once, in the order of its conversation.
async fn assert_feed_is_complete(mut events: Watching, count: usize) {
    let mut last = std::collections::HashMap::new();
    let mut seen = 0;
    while seen < count {
        let event = events.next().await.unwrap();
        if event.r#type() == EventType::MessageCreated {
            let message = event.message.unwrap();
            let before = last.insert(message.conversation_id, message.sequence);
            assert_eq!(before.unwrap_or(0) + 1, message.sequence);
            seen += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_sends_sqlite() {
    killed_during_sends(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_sends_postgres() {
    killed_during_sends(Kind::Postgres).await;
}
