//! The service is killed without a word.

use parlance_proto::v1::EventType;
use parlance_tests::{Caller, Kind, Service, Watching};

use crate::load::Load;

const AT_A_TIME: usize = 64;

async fn in_the_middle_of_sends(kind: Kind) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let mut load = Load::new(&caller, 10, 0).await;
    let onlooker = load.clone();
    let killing = async {
        onlooker.until_acknowledged(500).await;
        service.kill9();
    };
    let sending = load.send_to_the_end(&caller, AT_A_TIME);
    let ((sent, refused), ()) = tokio::join!(sending, killing);
    assert!(refused >= AT_A_TIME);
    assert_eq!(load.acknowledged() + refused, sent);

    service.start_again().await;
    let caller = Caller::as_owner(&service, caller.owner());
    load.verify_acknowledged(&caller).await;
    load.insist(std::slice::from_ref(&caller)).await;
    load.verify(&caller).await;
    // Delivery goes on meanwhile: a count that was true before and after one has been read is that of nothing else.
    parlance_testkit::eventually(parlance_tests::SOON, async || {
        let (before, read) = (caller.stats("").await, caller.stats_by_reading("").await);
        (before == read).then_some(())
    })
    .await;
    the_feed_tells_all(caller.watch_from("0").await, sent).await;
}

/// Every message once, in the order of its conversation.
async fn the_feed_tells_all(mut events: Watching, count: usize) {
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
async fn in_the_middle_of_sends_sqlite() {
    in_the_middle_of_sends(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_sends_postgres() {
    in_the_middle_of_sends(Kind::Postgres).await;
}
