//! Webhooks: what they pass on, and their answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use parlance_domain::message::{ReportStatus, ReportedError};
use ring::hmac;

use super::*;
use crate::{
    InboundAttachment, InboundContent, OptOutType, ReportedMessage, WebhookOutcome, WebhookRequest,
    WebhookResponse,
};

fn signature(text: &str) -> String {
    use base64::Engine as _;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(tag)
}

/// A signed request; the parameters must be sorted by name.
fn signed(path: &str, query: &str, parameters: &[(&str, &str)]) -> WebhookRequest {
    let url = format!("https://us.example/parlance/webhooks/twilio/{path}?{query}");
    let mut text = url.clone();
    for (name, value) in parameters {
        text.push_str(name);
        text.push_str(value);
    }
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form);
    let signature = HeaderValue::from_str(&signature(&text)).unwrap();
    headers.insert("x-twilio-signature", signature);
    WebhookRequest {
        path: path.to_owned(),
        query: query.to_owned(),
        url,
        headers,
        body: body.into(),
    }
}

async fn handle(recorder: &Arc<Recorder>, request: WebhookRequest) -> WebhookResponse {
    let events = Arc::clone(recorder) as Arc<dyn ProviderEvents>;
    let accounts = vec![account("http://127.0.0.1:1")];
    let provider = provider(accounts, LONG, &context(events)).unwrap();
    provider.webhooks.unwrap().handle(request).await
}

fn answer(response: &WebhookResponse) -> (u16, WebhookOutcome) {
    (response.status.as_u16(), response.outcome)
}

const ACCEPTED: (u16, WebhookOutcome) = (200, WebhookOutcome::Accepted);
const UNUSABLE: (u16, WebhookOutcome) = (200, WebhookOutcome::Unusable);

fn callback_query() -> String {
    format!("message={}&attempt=2", message_id())
}

#[tokio::test]
async fn a_callback_reports_about_its_attempt_with_the_id_of_the_provider() {
    let recorder = Arc::new(Recorder::default());
    let parameters = [
        ("AccountSid", ACCOUNT_SID),
        ("ErrorCode", "30003"),
        ("From", OURS),
        ("MessageSid", "SM1"),
        ("MessageStatus", "undelivered"),
        ("RawDlrDoneDate", "2611301200"),
        ("To", THEIRS),
    ];
    let response = handle(&recorder, signed("status", &callback_query(), &parameters)).await;
    assert_eq!(answer(&response), ACCEPTED);
    assert_eq!(response.content_type, Some("text/xml"));
    let expected = ProviderReport {
        provider: NAME,
        owner: None,
        message: ReportedMessage::Attempt(AttemptId {
            message_id: message_id(),
            number: 2,
        }),
        provider_message_id: Some("SM1".to_owned()),
        status: ReportStatus::Undelivered,
        error: Some(ReportedError {
            code: "unreachable".to_owned(),
            message: "the provider reported undelivered".to_owned(),
            provider_code: "30003".to_owned(),
        }),
        occurred_at: NOW,
    };
    assert_eq!(*recorder.reports.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn a_callback_without_our_ids_names_the_message_by_the_provider_s_id() {
    let recorder = Arc::new(Recorder::default());
    let parameters = [
        ("From", OURS),
        ("SmsSid", "SM1"),
        ("SmsStatus", "delivered"),
    ];
    for query in ["", "message=x&attempt=1"] {
        let response = handle(&recorder, signed("status", query, &parameters)).await;
        assert_eq!(answer(&response), ACCEPTED);
        let report = recorder.reports.lock().unwrap().pop().unwrap();
        let expected = ReportedMessage::ProviderId {
            channel: Channel::Sms,
            sender: OURS.to_owned(),
            provider_message_id: "SM1".to_owned(),
        };
        assert_eq!(report.message, expected);
        assert_eq!(
            (report.status, report.error),
            (ReportStatus::Delivered, None)
        );
    }
}

#[tokio::test]
async fn every_status_of_an_outbound_message_is_a_report() {
    for (status, expected) in [
        ("accepted", Some(ReportStatus::Sent)),
        ("scheduled", Some(ReportStatus::Sent)),
        ("queued", Some(ReportStatus::Sent)),
        ("sending", Some(ReportStatus::Sent)),
        ("sent", Some(ReportStatus::Sent)),
        ("delivered", Some(ReportStatus::Delivered)),
        ("read", Some(ReportStatus::Read)),
        ("undelivered", Some(ReportStatus::Undelivered)),
        ("failed", Some(ReportStatus::Failed)),
        ("canceled", Some(ReportStatus::Failed)),
        ("received", None),
        ("unknown", None),
        ("", None),
    ] {
        let recorder = Arc::new(Recorder::default());
        let parameters = [("MessageSid", "SM1"), ("MessageStatus", status)];
        let request = signed("status", &callback_query(), &parameters);
        let response = handle(&recorder, request).await;
        let found = recorder.reports.lock().unwrap().pop();
        assert_eq!(found.map(|report| report.status), expected, "{status}");
        let outcome = if expected.is_some() {
            ACCEPTED
        } else {
            UNUSABLE
        };
        assert_eq!(answer(&response), outcome, "{status}");
    }
}

#[tokio::test]
async fn an_inbound_message_has_its_media_and_its_consent_keyword() {
    let recorder = Arc::new(Recorder::default());
    let parameters = [
        ("AccountSid", ACCOUNT_SID),
        ("Body", "Stop & co \u{1f600}"),
        ("From", THEIRS),
        ("MediaContentType0", "image/png"),
        ("MediaContentType1", "image/gif"),
        ("MediaUrl0", "https://api.example/0"),
        ("MediaUrl1", "https://api.example/1"),
        ("MessageSid", "MM1"),
        ("MessagingServiceSid", "MGunknown"),
        ("NumMedia", "2"),
        ("OptOutType", "STOP"),
        ("To", OURS),
    ];
    let response = handle(&recorder, signed("inbound", "", &parameters)).await;
    assert_eq!(answer(&response), ACCEPTED);
    assert!(response.body.ends_with(b"<Response/>"));
    let attachment = |url: &str, content_type: &str| InboundAttachment {
        filename: String::new(),
        content_type: content_type.to_owned(),
        content: InboundContent::Url(url.to_owned()),
    };
    let expected = InboundMessage {
        provider: NAME,
        credentials: Some(vec![NAME.to_owned(), String::new()]),
        provider_message_id: "MM1".to_owned(),
        channel: Channel::Sms,
        from: THEIRS.to_owned(),
        to: OURS.to_owned(),
        cc: Vec::new(),
        subject: String::new(),
        body: "Stop & co \u{1f600}".to_owned(),
        html_body: String::new(),
        attachments: vec![
            attachment("https://api.example/0", "image/png"),
            attachment("https://api.example/1", "image/gif"),
        ],
        opt_out_type: Some(OptOutType::Stop),
        received_at: None,
    };
    assert_eq!(*recorder.inbound.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn the_number_of_media_is_bounded_by_what_arrived() {
    let recorder = Arc::new(Recorder::default());
    let parameters = [
        ("Body", ""),
        ("From", THEIRS),
        ("MediaUrl3", "https://api.example/3"),
        ("MessageSid", "MM1"),
        ("NumMedia", "18446744073709551615"),
        ("To", OURS),
    ];
    let response = handle(&recorder, signed("inbound", "", &parameters)).await;
    assert_eq!(answer(&response), ACCEPTED);
    let inbound = recorder.inbound.lock().unwrap();
    assert_eq!(inbound[0].attachments.len(), 1);
}

#[tokio::test]
async fn a_request_that_is_not_verified_passes_nothing_on() {
    let parameters = [("From", THEIRS), ("MessageSid", "SM1"), ("To", OURS)];
    let valid = || signed("inbound", "", &parameters);
    let mut unsigned = valid();
    unsigned.headers.remove("x-twilio-signature");
    let elsewhere = WebhookRequest {
        url: "https://other.example/parlance/webhooks/twilio/inbound?".to_owned(),
        ..valid()
    };
    let changed = WebhookRequest {
        body: Bytes::from_static(b"From=%2B15552223333&MessageSid=SM2&To=%2B15550001111"),
        ..valid()
    };
    let mut other_key = valid();
    other_key.headers.insert(
        "x-twilio-webhooks-signature-settings",
        HeaderValue::from_static("key=unknown,algorithm=HMAC_SHA256"),
    );
    let large = WebhookRequest {
        body: "a=1&".repeat(1_000).into(),
        ..valid()
    };
    for request in [unsigned, elsewhere, changed, other_key, large] {
        let recorder = Arc::new(Recorder::default());
        let response = handle(&recorder, request).await;
        assert_eq!(answer(&response), (403, WebhookOutcome::Unverified));
        assert!(recorder.inbound.lock().unwrap().is_empty());
    }
}

/// The provider only logs other answers as errors; what cannot be stored is the exception.
#[tokio::test]
async fn what_cannot_be_used_is_acknowledged_and_what_cannot_be_stored_is_not() {
    let message = [("From", THEIRS), ("MessageSid", "SM1"), ("To", OURS)];
    let invalid = InboundError::Invalid("from: not a number".to_owned());
    for (error, expected) in [
        (InboundError::UnknownAddress, UNUSABLE),
        (invalid, UNUSABLE),
        (InboundError::RetryLater, (503, WebhookOutcome::RetryLater)),
    ] {
        let recorder = Arc::new(Recorder::default());
        *recorder.refuses.lock().unwrap() = Some(error);
        let response = handle(&recorder, signed("inbound", "", &message)).await;
        assert_eq!(answer(&response), expected);
    }
    let recorder = Arc::new(Recorder::default());
    *recorder.refuses.lock().unwrap() = Some(InboundError::RetryLater);
    let report = [("MessageSid", "SM1"), ("MessageStatus", "sent")];
    let response = handle(&recorder, signed("status", &callback_query(), &report)).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);

    let recorder = Arc::new(Recorder::default());
    for parameters in [
        &[("From", THEIRS), ("To", OURS)][..],
        &[("MessageSid", "SM1"), ("To", OURS)],
        &[("From", THEIRS), ("MessageSid", "SM1")],
        &[("From", THEIRS), ("MessageSid", "../x"), ("To", OURS)],
    ] {
        let response = handle(&recorder, signed("inbound", "", parameters)).await;
        assert_eq!(answer(&response), UNUSABLE, "{parameters:?}");
    }
    assert!(recorder.inbound.lock().unwrap().is_empty());
}

#[test]
fn only_its_own_paths_take_a_body() {
    let webhooks = provider_at(vec![account("http://127.0.0.1:1")], LONG).webhooks;
    let webhooks = webhooks.unwrap();
    assert_eq!(webhooks.max_body_bytes("status"), Some(64 * 1024));
    assert_eq!(webhooks.max_body_bytes("inbound"), Some(64 * 1024));
    assert_eq!(webhooks.max_body_bytes("other"), None);
}
