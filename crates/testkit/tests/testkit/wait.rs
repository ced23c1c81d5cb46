use std::time::Duration;

use parlance_testkit::eventually;

#[tokio::test]
async fn returns_what_the_check_found() {
    let mut calls = 0;
    let check = async || {
        calls += 1;
        (calls == 5).then_some("found")
    };
    assert_eq!(eventually(super::SOON, check).await, "found");
}

#[tokio::test]
#[should_panic(expected = "tests/testkit/wait.rs")]
async fn names_the_line_that_waited_in_vain() {
    eventually(Duration::from_millis(20), async || None::<()>).await;
}

#[tokio::test]
#[should_panic(expected = "did not come within")]
async fn cuts_off_a_check_that_hangs() {
    eventually(Duration::from_millis(20), async || {
        std::future::pending::<Option<()>>().await
    })
    .await;
}
