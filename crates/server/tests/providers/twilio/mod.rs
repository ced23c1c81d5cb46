//! Twilio against a stand-in, over sockets: from a send to the receipt, and inbound messages.

mod simulated;
mod stand_in;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};

use crate::service::{OURS, Service, THEIRS, post, request};
use stand_in::{StandIn, sid};

const ACCOUNT_SID: &str = "ACtest";
const TOKEN: &str = "token-of-the-account";
const CREATE: &str = "SenderService/CreateSender";
const SEND: &str = "MessageService/SendMessage";

/// A service with a sender of Twilio.
async fn start(stand_in: &StandIn, further: &[(&str, &str)]) -> Service {
    let account = [
        ("TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_BASE_URL", stand_in.url.as_str()),
    ];
    let settings: Vec<_> = account.iter().chain(further).copied().collect();
    let service = Service::start_with(&settings, &[]).await;
    service.ok(CREATE, &sender(&json!({}))).await;
    service
}

fn sender(changes: &Value) -> Value {
    let mut sender = json!({
        "channel": "CHANNEL_SMS", "address": OURS, "provider": "twilio",
    });
    for (name, value) in changes.as_object().unwrap() {
        sender[name] = value.clone();
    }
    json!({ "sender": sender })
}

/// Posts a form with the signature that it has at another URL.
async fn post_form(
    url: &str,
    signed_url: &str,
    parameters: &[(&str, &str)],
) -> (StatusCode, String) {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    let mut text = signed_url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let headers = [
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
        ("x-twilio-signature", signature),
    ];
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let (status, body) = post(url, &headers, &body).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn callback(url: &str, status: &str) -> StatusCode {
    let parameters = [
        ("AccountSid", ACCOUNT_SID),
        ("From", OURS),
        ("MessageSid", "SM0"),
        ("MessageStatus", status),
        ("To", THEIRS),
    ];
    post_form(url, url, &parameters).await.0
}

#[tokio::test]
async fn a_message_is_handed_over_and_its_callback_is_the_receipt() {
    let stand_in = StandIn::start().await;
    let service = start(&stand_in, &[]).await;
    assert_eq!(service.running.real_providers, ["twilio"]);
    let sent = service.send().await;
    let accepted = stand_in.first().await;
    let names = ["To", "From", "Body", "MessagingServiceSid"];
    assert_eq!(
        names.map(|name| accepted.get(name)),
        [THEIRS, OURS, "hello", ""]
    );
    let id = sent["id"].as_str().unwrap();
    let url = service.url(&format!("/webhooks/twilio/status?message={id}&attempt=1"));
    assert_eq!(accepted.get("StatusCallback"), url);

    let message = service.until(&sent, "MESSAGE_STATUS_SENT").await;
    assert_eq!(message["providerMessageId"], sid(0));
    // Repeated and out of order.
    for status in ["delivered", "sent", "delivered"] {
        assert_eq!(callback(&url, status).await, StatusCode::OK);
    }
    let message = service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;
    assert_eq!(message["provider"], "twilio");
    assert_eq!(stand_in.accepted().len(), 1);
}

/// The callback carries our ids and the provider's.
#[tokio::test]
async fn a_lost_answer_is_resolved_by_the_callback() {
    let stand_in = StandIn::start().await;
    stand_in.lose_answers();
    let service = start(&stand_in, &[]).await;
    let sent = service.send().await;
    service.until_uncertain(&sent).await;
    let url = stand_in.first().await.get("StatusCallback").to_owned();
    assert_eq!(callback(&url, "delivered").await, StatusCode::OK);
    let message = service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;
    assert_eq!(message["providerMessageId"], sid(0));
    assert_eq!(stand_in.accepted().len(), 1);
}

/// Nothing but the list says that it was accepted.
#[tokio::test]
async fn a_lost_answer_is_resolved_by_the_list() {
    let stand_in = StandIn::start().await;
    stand_in.lose_answers();
    let service = start(&stand_in, &[]).await;
    let sent = service.send().await;
    let message = service.until(&sent, "MESSAGE_STATUS_SENT").await;
    assert_eq!(message["providerMessageId"], sid(0));
    assert_eq!(stand_in.accepted().len(), 1, "it was not sent twice");
}

#[tokio::test]
async fn a_messaging_service_is_a_setting_of_the_sender() {
    let stand_in = StandIn::start().await;
    let service = start(&stand_in, &[]).await;
    let ours = "+12125550077";
    let with_service = sender(&json!({ "address": ours, "messagingService": "MG1" }));
    let created = service.ok(CREATE, &with_service).await;
    assert_eq!(created["messagingService"], "MG1");
    let message = json!({
        "channel": "CHANNEL_SMS", "fromAddress": ours, "toAddress": THEIRS, "body": "hello",
    });
    service.ok(SEND, &message).await;
    let accepted = stand_in.first().await;
    let names = ["MessagingServiceSid", "From"];
    assert_eq!(names.map(|name| accepted.get(name)), ["MG1", ours]);

    let unknown = sender(&json!({ "address": "+12125550078", "credentials": "none" }));
    assert_eq!(service.refused(CREATE, &unknown).await, "NO_CREDENTIALS");
}

#[tokio::test]
async fn a_stored_attachment_is_fetched_by_its_link() {
    let stand_in = StandIn::start().await;
    let service = start(&stand_in, &[]).await;
    let attachment =
        json!({ "filename": "a.png", "contentType": "image/png", "content": "AAEC/w==" });
    let message = json!({
        "channel": "CHANNEL_SMS", "fromAddress": OURS, "toAddress": THEIRS, "attachments": [attachment],
    });
    service.ok(SEND, &message).await;
    let link = stand_in.first().await.get("MediaUrl").to_owned();
    let root = service.url("/media/twilio/");
    assert!(link.starts_with(&root), "{link}");
    let fetched = request(Method::GET, &link, &[], "").await;
    assert_eq!(fetched.status(), StatusCode::OK);
    assert_eq!(fetched.body()[..], [0, 1, 2, 255]);
    let headers = ["content-type", "content-length", "x-content-type-options"];
    let headers = headers.map(|name| fetched.headers()[name].to_str().unwrap());
    assert_eq!(headers, ["image/png", "4", "nosniff"]);

    let simulator = link.replace("/twilio/", "/simulator/");
    for other in [format!("{link}x"), format!("{root}x"), simulator] {
        let refused = request(Method::GET, &other, &[], "").await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{other}");
    }
}

fn inbound<'a>(to: &'a str, id: &'a str, body: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("AccountSid", ACCOUNT_SID),
        ("Body", body),
        ("From", THEIRS),
        ("MessageSid", id),
        ("To", to),
    ]
}

#[tokio::test]
async fn an_inbound_message_is_stored_once_and_shown() {
    let stand_in = StandIn::start().await;
    let service = start(&stand_in, &[]).await;
    let sent = service.send().await;
    let url = service.url("/webhooks/twilio/inbound");
    for _ in 0..2 {
        let message = inbound(OURS, "SMin", "Thank you!");
        let (status, body) = post_form(&url, &url, &message).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.ends_with("<Response/>"), "{body}");
    }
    // Signed for another URL, and for a number without a sender.
    let elsewhere = service.url("/webhooks/twilio/status");
    let forged = inbound(OURS, "SMforged", "forged");
    let (status, _) = post_form(&url, &elsewhere, &forged).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let unknown = inbound("+12125559999", "SMunknown", "unknown");
    assert_eq!(post_form(&url, &url, &unknown).await.0, StatusCode::OK);
    assert_eq!(service.bodies(&sent).await, ["hello", "Thank you!"]);

    let large = "x".repeat(70 * 1024);
    let (status, _) = post_form(&url, &url, &inbound(OURS, "SMlarge", &large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let metrics = request(Method::GET, &service.url("/metrics"), &[], "").await;
    let metrics = String::from_utf8(metrics.into_body().to_vec()).unwrap();
    for (outcome, count) in [("accepted", 2), ("unverified", 1), ("unusable", 1)] {
        let found = metrics.lines().any(|line| {
            line.starts_with("parlance_webhooks_total{")
                && line.contains(&format!("outcome=\"{outcome}\""))
                && line.contains("provider=\"twilio\"")
                && line.ends_with(&format!(" {count}"))
        });
        assert!(found, "{outcome}: {metrics}");
    }
}

/// A proxy may pass the path of the public URL on, or remove it.
#[tokio::test]
async fn webhooks_have_a_port_and_a_public_url_of_their_own() {
    const PUBLIC: &str = "https://chat.example/parlance";
    let stand_in = StandIn::start().await;
    let further = [
        ("WEBHOOK_LISTEN", "127.0.0.1:0"),
        ("PUBLIC_URL", "https://chat.example/parlance/"),
    ];
    let service = start(&stand_in, &further).await;
    let sent = service.send().await;
    let callback = stand_in.first().await.get("StatusCallback").to_owned();
    let id = sent["id"].as_str().unwrap();
    let target = format!("/webhooks/twilio/status?message={id}&attempt=1");
    assert_eq!(callback, format!("{PUBLIC}{target}"));

    let port = format!("http://{}", service.running.webhooks);
    let parameters = [("MessageSid", "SM0"), ("MessageStatus", "delivered")];
    for called in [
        format!("{port}{target}"),
        format!("{port}/parlance{target}"),
    ] {
        let (status, _) = post_form(&called, &callback, &parameters).await;
        assert_eq!(status, StatusCode::OK, "{called}");
        // The signature is that of the public URL, whatever was called.
        let (status, _) = post_form(&called, &called, &parameters).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{called}");
    }
    service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;

    // Each port has its own: the simulator's are not signed.
    let (status, _) = post_form(&service.url(&target), &callback, &parameters).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let http = service.url("");
    for (root, expected) in [
        (&port, StatusCode::NOT_FOUND),
        (&http, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let url = format!("{root}/webhooks/simulator/inbound");
        assert_eq!(post(&url, &[], "{}").await.0, expected, "{url}");
    }
    let other = request(Method::GET, &format!("{port}/metrics"), &[], "").await;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}
