//! Database connections that are lost silently: packets are dropped, and no reset arrives.

use std::net::SocketAddr;

use parlance_proto::v1::{Message, MessageStatus};
use parlance_testkit::{Postgres, Proxy, TestDatabase, eventually};
use parlance_tests::make::{self, Pair, sms};
use parlance_tests::raw::get;
use parlance_tests::{Caller, SOON, Service};

use crate::outage::until_ready;

/// A service that reaches its database through a proxy.
struct Behind {
    service: Service,
    proxy: Proxy,
    caller: Caller,
    pair: Pair,
    _database: TestDatabase,
}

async fn behind_a_proxy() -> Behind {
    let database = Postgres::shared().create_database().await;
    let (before, rest) = database.url.rsplit_once('@').expect("a user");
    let (address, name) = rest.split_once('/').expect("a database");
    let upstream: SocketAddr = address.parse().expect("an address with a port");
    let proxy = Proxy::start(upstream);
    let url = format!("{before}@{}/{name}", proxy.address());
    let service = Service::over(&url, |b| b).await;
    let caller = Caller::at(&service);
    let pair = make::phones();
    Behind {
        service,
        proxy,
        caller,
        pair,
        _database: database,
    }
}

impl Behind {
    /// Sends a message, and retries until it is accepted.
    async fn send(&self, body: &str) -> Message {
        let request = parlance_proto::v1::SendMessageRequest {
            request_id: body.to_owned(),
            ..sms(&self.pair, body)
        };
        eventually(SOON, async || self.caller.call(request.clone()).await.ok()).await
    }

    async fn until_delivered(&self, message: &Message) {
        eventually(SOON, async || {
            let found = self.caller.call(make::get_message(&message.id)).await.ok();
            found.filter(|found| found.status() == MessageStatus::Delivered)
        })
        .await;
    }

    async fn until_queues_and_lag_are_counted(&self, counted: bool) {
        let url = format!("{}/metrics", self.service.http_url());
        eventually(SOON, async || {
            let text = get(&url).await.text();
            let depth = text.contains("parlance_delivery_queue_depth{");
            let age = text.contains("parlance_delivery_queue_age_seconds{");
            let lag = text.contains("parlance_feed_lag_seconds ");
            [depth, age, lag]
                .iter()
                .all(|found| *found == counted)
                .then_some(())
        })
        .await;
    }
}

/// New connections work, and no error reports the loss of the old ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_continues_when_open_connections_are_lost() {
    let behind = behind_a_proxy().await;
    let first = behind.send("before").await;
    behind.until_delivered(&first).await;
    for round in 0..3 {
        behind.proxy.strand();
        let message = behind.send(&format!("round {round}")).await;
        behind.until_delivered(&message).await;
        until_ready(&behind.service, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_and_gauges_show_a_black_hole_and_delivery_continues_after_it() {
    let behind = behind_a_proxy().await;
    // The feed has a lag only while there is a watcher.
    let _watching = behind.caller.watch_from("").await;
    let first = behind.send("before").await;
    behind.until_delivered(&first).await;
    behind.until_queues_and_lag_are_counted(true).await;
    behind.proxy.black_hole();
    assert_eq!(
        until_ready(&behind.service, false).await,
        "the database does not answer within a second\n"
    );
    behind.until_queues_and_lag_are_counted(false).await;
    // The old connections stay lost when the network is restored.
    behind.proxy.strand();
    behind.proxy.heal();
    until_ready(&behind.service, true).await;
    let second = behind.send("after").await;
    behind.until_delivered(&second).await;
    behind.until_queues_and_lag_are_counted(true).await;
}
