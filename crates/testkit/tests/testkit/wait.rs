use std::time::Duration;

use parlance_testkit::eventually;

#[tokio::test]
async fn returns_the_value_of_the_check() {
    let mut calls = 0;
    let check = async || {
        calls += 1;
        (calls == 5).then_some("found")
    };
    assert_eq!(eventually(super::SOON, check).await, "found");
}

#[tokio::test]
#[should_panic(expected = "tests/testkit/wait.rs")]
async fn the_panic_names_the_waiting_line() {
    eventually(Duration::from_millis(20), async || None::<()>).await;
}

#[tokio::test]
#[should_panic(expected = "was not met within")]
async fn a_hanging_check_is_cancelled() {
    eventually(Duration::from_millis(20), async || {
        std::future::pending::<Option<()>>().await
    })
    .await;
}
