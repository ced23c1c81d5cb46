//! Start and stop.

use std::pin::pin;

use futures_util::FutureExt as _;
use parlance_server::drain::DrainOutcome;
use parlance_server::simulate::{self, SimulateError};
use parlance_testkit::eventually;
use serde_json::json;
use tokio::net::TcpStream;

use crate::application::Application;
use crate::harness::{SOON, configuration, start};

#[tokio::test]
async fn a_signal_ends_open_requests() {
    let (simulator, application) = (start(), Application::start().await);
    simulator
        .script(&json!([{ "kind": "FAULT_KIND_ACCEPT_THEN_TIMEOUT", "count": 1 }]))
        .await;
    let (address, callback) = (simulator.address, application.url("/status"));
    let reply = {
        let mut creating = pin!(simulator.create(&callback));
        eventually(SOON, async || {
            assert!(creating.as_mut().now_or_never().is_none());
            let sent = simulator.ok("ListSent", &json!({})).await;
            (!sent["messages"].as_array()?.is_empty()).then_some(())
        })
        .await;
        simulator.advance(1).await;
        application.wait_for(1).await;
        simulator.signal().await;
        creating.await
    };
    assert_eq!(reply.status, 504);
    assert_eq!(simulator.ended().await, DrainOutcome::Finished);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let refused = |change: fn(&mut simulate::Configuration)| {
        let mut configuration = configuration();
        change(&mut configuration);
        simulate::start(configuration).unwrap_err()
    };
    let inbound = refused(|it| it.inbound_url = "https://example.com/".to_owned());
    assert!(matches!(inbound, SimulateError::InboundUrl(_)));
    let script = refused(|it| it.script = Some(r#"{"faults": [{}]}"#.to_owned()));
    assert!(script.to_string().contains("faults[0].kind"), "{script}");
    let taken = start();
    let mut configuration = configuration();
    configuration.listen = taken.address;
    let port = simulate::start(configuration).unwrap_err();
    assert!(
        port.to_string().starts_with("--listen: cannot listen on"),
        "{port}"
    );
}
