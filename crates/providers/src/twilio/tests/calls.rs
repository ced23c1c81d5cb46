//! Requests as the provider receives them.

use http::{Method, StatusCode};
use serde_json::json;

use super::server::{Reply, Server};
use super::*;
use crate::{CancelResult, OutboundAttachment, OutboundContent, Outcome};

const MESSAGES: &str = "/2010-04-01/Accounts/ACtest/Messages.json";

fn created() -> Reply {
    Reply::json(
        StatusCode::CREATED,
        &json!({ "sid": "SM1", "status": "queued", "error_code": null }),
    )
}

async fn send(server: &Server, text: Text) -> Outcome {
    let provider = provider_at(vec![account(&server.url)], LONG);
    provider.texts.unwrap().send_text(text).await
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

#[tokio::test]
async fn a_text_is_created_with_its_callback() {
    let server = Server::start([created()]).await;
    let outcome = send(&server, text()).await;
    let expected = Outcome::Accepted {
        provider_message_id: "SM1".to_owned(),
    };
    assert_eq!(outcome, expected);
    let request = server.request();
    assert_eq!(
        (request.method.clone(), request.uri.as_str()),
        (Method::POST, MESSAGES)
    );
    assert_eq!(
        request.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    // `ACtest:token of the account`.
    let login = "Basic QUN0ZXN0OnRva2VuIG9mIHRoZSBhY2NvdW50";
    assert_eq!(request.headers["authorization"], login);
    let callback = "https://us.example/webhooks/twilio/status?message=1";
    let expected = [
        ("To", THEIRS),
        ("From", OURS),
        ("Body", "hello"),
        ("StatusCallback", callback),
    ];
    assert_eq!(request.form(), pairs(&expected));
}

#[tokio::test]
async fn a_messaging_service_media_and_expiry_are_passed_on() {
    let server = Server::start([created()]).await;
    let mut text = text();
    text.body = String::new();
    text.hand_over.callback_url = None;
    text.hand_over.expires_at = Some(NOW.plus(Duration::from_secs(90)));
    text.hand_over.sender = Arc::new(Sender {
        messaging_service: "MG1".to_owned(),
        ..sender()
    });
    text.attachments = ["https://a.example/1.png", "https://a.example/2.png"]
        .map(|url| OutboundAttachment {
            filename: String::new(),
            content_type: "image/png".to_owned(),
            content: OutboundContent::Url(url.to_owned()),
            link: None,
        })
        .into();
    send(&server, text).await;
    let expected = [
        ("To", THEIRS),
        ("From", OURS),
        ("MessagingServiceSid", "MG1"),
        ("MediaUrl", "https://a.example/1.png"),
        ("MediaUrl", "https://a.example/2.png"),
        ("ValidityPeriod", "90"),
    ];
    assert_eq!(server.request().form(), pairs(&expected));
}

#[tokio::test]
async fn stored_attachments_are_sent_by_their_link() {
    let content = crate::Content::new(3, Arc::new(NoContent));
    let attachment = |link: Option<&str>| OutboundAttachment {
        filename: "a.png".to_owned(),
        content_type: "image/png".to_owned(),
        content: OutboundContent::Stored(content.clone()),
        link: link.map(str::to_owned),
    };
    let server = Server::start([created()]).await;
    let link = "https://us.example/media/x";
    let linked = Text {
        attachments: vec![attachment(Some(link))],
        ..text()
    };
    send(&server, linked).await;
    let form = server.request().form();
    assert!(
        form.contains(&("MediaUrl".to_owned(), link.to_owned())),
        "{form:?}"
    );

    let unreachable = Text {
        attachments: vec![attachment(None)],
        ..text()
    };
    let outcome = send(&server, unreachable).await;
    let Outcome::Refused(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.code, "attachment_needs_url");
    assert_eq!(server.requests().len(), 1, "nothing was sent");
}

struct NoContent;

#[async_trait]
impl crate::ContentSource for NoContent {
    async fn chunk(&self, _: i32) -> Result<bytes::Bytes, crate::ContentError> {
        Err(crate::ContentError::Gone)
    }
}

#[tokio::test]
async fn the_account_is_that_of_the_sender() {
    let server = Server::start([created(), created()]).await;
    let named = Account {
        name: "marketing".to_owned(),
        account_sid: "ACother".to_owned(),
        ..account(&server.url)
    };
    let provider = provider_at(vec![named, account(&server.url)], LONG);
    assert_eq!(provider.credentials, ["marketing", "twilio"]);
    let texts = provider.texts.unwrap();
    for (credentials, account_sid) in [("marketing", "ACother"), ("", "ACtest")] {
        let mut text = text();
        text.hand_over.sender = Arc::new(Sender {
            credentials: credentials.to_owned(),
            ..sender()
        });
        texts.send_text(text).await;
        let request = server.requests().pop().unwrap();
        let expected = format!("/2010-04-01/Accounts/{account_sid}/Messages.json");
        assert_eq!(request.uri, expected);
    }
    let mut text = text();
    text.hand_over.sender = Arc::new(Sender {
        credentials: "removed".to_owned(),
        ..sender()
    });
    let outcome = texts.send_text(text).await;
    assert!(matches!(outcome, Outcome::Later { .. }), "{outcome:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_cancellation_asks_for_the_state_if_the_answer_does_not_say() {
    let message = |status| json!({ "sid": "SM1", "status": status });
    for (replies, requests, expected) in [
        (
            vec![Reply::json(StatusCode::OK, &message("canceled"))],
            1,
            CancelResult::Canceled,
        ),
        (
            vec![Reply::json(
                StatusCode::BAD_REQUEST,
                &json!({ "code": 30_409 }),
            )],
            1,
            CancelResult::TooLate,
        ),
        (
            vec![
                Reply::Close,
                Reply::json(StatusCode::OK, &message("canceled")),
            ],
            2,
            CancelResult::Canceled,
        ),
        (
            vec![
                Reply::json(StatusCode::BAD_GATEWAY, &json!({})),
                Reply::json(StatusCode::OK, &message("sent")),
            ],
            2,
            CancelResult::TooLate,
        ),
        (
            vec![
                Reply::json(StatusCode::NOT_FOUND, &json!({ "code": 20_404 })),
                Reply::json(StatusCode::NOT_FOUND, &json!({ "code": 20_404 })),
            ],
            2,
            CancelResult::Unknown,
        ),
    ] {
        let server = Server::start(replies).await;
        let provider = provider_at(vec![account(&server.url)], LONG);
        let cancel = provider.cancel.unwrap();
        let result = cancel.cancel(&hand_over(sender()), "SM1").await;
        assert_eq!(result, expected);
        let recorded = server.requests();
        assert_eq!(recorded.len(), requests);
        assert_eq!(
            recorded[0].uri,
            "/2010-04-01/Accounts/ACtest/Messages/SM1.json"
        );
        assert_eq!(recorded[0].form(), pairs(&[("Status", "canceled")]));
    }
}

/// The id is part of a path, and was stored before this version.
#[tokio::test]
async fn an_id_that_is_none_is_not_sent() {
    let server = Server::start([]).await;
    let provider = provider_at(vec![account(&server.url)], LONG);
    let cancel = provider.cancel.unwrap();
    let result = cancel.cancel(&hand_over(sender()), "../../Calls").await;
    assert_eq!(result, CancelResult::Unknown);
    assert!(server.requests().is_empty());
}
