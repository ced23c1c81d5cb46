//! A message is sent, delivered and answered.

use parlance_testkit::{Builder, Parlance, SqliteFile};
use serde_json::Value;

use crate::tab::Tab;

/// A service with a database of its own, and its page.
async fn page() -> (Parlance, SqliteFile, Tab) {
    page_of(Parlance::builder()).await
}

/// The same with settings of the test's own.
pub(crate) async fn page_of(service: Builder) -> (Parlance, SqliteFile, Tab) {
    let file = SqliteFile::new();
    let service = service.database_url(file.url()).start().await;
    let tab = Tab::open(&service.http_url()).await;
    (service, file, tab)
}

/// Expression: whether the thread has a message with this text and status.
pub(crate) fn shown(text: &str, status: &str) -> String {
    format!(
        "[...document.querySelectorAll('#messages .message')].some((it) => it.querySelector('.text').textContent === {text:?} \
         && it.querySelector('.status').dataset.status === {status:?})"
    )
}

fn on_phone(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#phone-messages .text')].some((it) => it.textContent === {text:?})"
    )
}

pub(crate) async fn send(tab: &mut Tab, text: &str) {
    tab.write("#body", text).await;
    tab.click("#send [type=submit]").await;
}

#[tokio::test]
async fn a_message_is_delivered_and_answered() {
    let (_service, _file, mut tab) = page().await;
    tab.until("document.getElementById('live').dataset.state === 'live'")
        .await;
    assert!(
        tab.text("#welcome")
            .await
            .contains("never leaves this machine")
    );

    send(&mut tab, "Is <b>this</b> text?").await;
    tab.until(&shown("Is <b>this</b> text?", "DELIVERED")).await;
    tab.until(&on_phone("Is <b>this</b> text?")).await;
    assert_eq!(
        tab.get("document.querySelectorAll('.text b').length").await,
        0
    );

    tab.write("#reply-body", "It is.").await;
    tab.click("#reply [type=submit]").await;
    tab.until(&shown("It is.", "RECEIVED")).await;
    tab.until("document.querySelector('.badge')?.textContent === '1'")
        .await;
    tab.click("#read").await;
    tab.until("!document.querySelector('.badge') && document.getElementById('read').hidden")
        .await;

    tab.click("#messages .out .status").await;
    tab.until("document.querySelectorAll('.events li').length > 1")
        .await;
    let story = tab.text(".events").await;
    assert!(
        story.contains("attempt 1") && story.contains("report DELIVERED"),
        "{story}"
    );
    let complaints = tab.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn the_curl_command_of_a_form_sends_the_same_request() {
    let (_service, _file, mut tab) = page().await;
    tab.write("#owner", "acme").await;
    tab.write("#body", "It's here & \"now\"").await;
    tab.get("document.getElementById('owner').dispatchEvent(new Event('change'))")
        .await;
    let line = tab.text("#send-curl code").await;
    assert!(
        line.starts_with("curl http://") && line.contains("x-parlance-owner: acme"),
        "{line}"
    );

    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .expect("a shell");
    let message: Value = serde_json::from_slice(&output.stdout).expect("a message");
    assert_eq!(message["body"], "It's here & \"now\"", "{line}");
    tab.until(&shown("It's here & \"now\"", "DELIVERED")).await;

    // Another owner does not see the message.
    tab.write("#owner", "").await;
    tab.get("document.getElementById('owner').dispatchEvent(new Event('change'))")
        .await;
    tab.until("document.querySelectorAll('#messages .message').length === 0")
        .await;
}

#[tokio::test]
async fn an_error_names_the_field_and_the_page_stays_usable() {
    let (_service, _file, mut tab) = page().await;
    tab.write("#to", "nothing").await;
    send(&mut tab, "Hello").await;
    tab.until("document.getElementById('send-error').textContent.includes('to_address')")
        .await;

    tab.click(".magic summary").await;
    tab.click("#magic button").await;
    assert_eq!(
        tab.get("document.getElementById('to').value").await,
        "+15005550101"
    );
    send(&mut tab, "Hello").await;
    tab.until(&shown("Hello", "UNDELIVERED")).await;
    assert_eq!(
        tab.get("document.getElementById('send-error').hidden")
            .await,
        true
    );
}

#[tokio::test]
async fn mail_and_chat_have_their_own_fields() {
    let (_service, _file, mut tab) = page().await;
    tab.choose("#channel", "EMAIL").await;
    tab.write("#subject", "Your order").await;
    send(&mut tab, "It is on its way.").await;
    tab.until("document.querySelector('#phone-messages .text b')?.textContent === 'Your order'")
        .await;

    tab.choose("#channel", "CHAT").await;
    send(&mut tab, "How can I help?").await;
    tab.until(&shown("How can I help?", "DELIVERED")).await;
    tab.write("#reply-body", "Where is it?").await;
    tab.click("#reply [type=submit]").await;
    tab.until(&on_phone("Where is it?")).await;
    assert_eq!(
        tab.get("document.querySelectorAll('#conversations li').length")
            .await,
        2
    );
    let complaints = tab.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn the_webhooks_of_the_simulator_are_listed_and_can_be_replayed() {
    let (_service, _file, mut tab) = page().await;
    tab.click("#webhooks-panel summary").await;
    tab.until("!document.getElementById('no-webhooks').hidden")
        .await;
    send(&mut tab, "Hello").await;
    tab.until("document.getElementById('webhooks').textContent.includes('delivered +15552223333 DELIVERED')")
        .await;
    tab.click("#webhooks button").await;
    tab.until("document.getElementById('webhooks').textContent.includes('2 times')")
        .await;
    let complaints = tab.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
