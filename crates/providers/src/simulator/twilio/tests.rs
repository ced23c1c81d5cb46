//! Tests of the API: requests in, answers out.

use std::time::Duration;

use bytes::Bytes;
use parlance_domain::Timestamp;
use serde_json::Value;

use super::*;
use crate::simulator::network::{InboundText, NewMedia, Settings};
use crate::{Fault, FaultKind, Script};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const OURS: &str = "+15550001111";
const THEIRS: &str = "+15552223333";
const SERVICE: &str = "MG00000000000000000000000000000001";
/// 2023-08-24T05:01:45Z.
const NOW: Timestamp = Timestamp::from_micros(1_692_853_305_000_000);

struct Api {
    network: Network,
    credentials: Credentials,
    authorization: String,
}

fn time() -> Time {
    Time {
        elapsed: Duration::ZERO,
        now: NOW,
    }
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

impl Api {
    fn new() -> Self {
        let settings = Settings {
            seed: 1,
            every_status: true,
            inbound_url: "http://127.0.0.1/inbound".to_owned(),
            base_url: "http://127.0.0.1:8090".to_owned(),
            max_waiting: 0,
        };
        Self {
            network: Network::new(settings),
            credentials: Credentials {
                account: ACCOUNT.to_owned(),
                token: "token".to_owned(),
            },
            authorization: basic(ACCOUNT, "token"),
        }
    }

    fn raw(&mut self, method: &Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let body = encode(form.iter().copied());
        let request = ApiRequest {
            method,
            path,
            query,
            authorization: &self.authorization,
            body: body.as_bytes(),
        };
        answer(&mut self.network, time(), &self.credentials, &request)
    }

    fn call(&mut self, method: &Method, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        match self.raw(method, path, form) {
            Answer::Response(response) => {
                let body = serde_json::from_slice(&response.body).unwrap_or_default();
                (response.status.as_u16(), body)
            }
            silent @ Answer::Silent(_) => panic!("{silent:?}"),
        }
    }

    fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.call(&Method::GET, path, &[]);
        assert_eq!(status, 200, "{body}");
        body
    }

    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.call(&Method::POST, path, form)
    }

    fn create(&mut self, change: &[(&str, &str)]) -> (u16, Value) {
        let mut form = vec![("To", THEIRS), ("From", OURS), ("Body", "hi")];
        form.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
        form.extend(change);
        self.post(&messages(), &form)
    }

    fn created(&mut self, change: &[(&str, &str)]) -> Value {
        let (status, message) = self.create(change);
        assert_eq!(status, 201, "{message}");
        message
    }

    fn refused(&mut self, change: &[(&str, &str)]) -> (u16, u64) {
        let (status, error) = self.create(change);
        assert_eq!(error["status"], status);
        let code = error["code"].as_u64().unwrap();
        let info = format!("https://www.twilio.com/docs/errors/{code}");
        assert_eq!(error["more_info"], info);
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()));
        (status, code)
    }

    /// Delivers everything that was created.
    fn deliver(&mut self) {
        let by = Duration::from_secs(1);
        self.network.advance_clock(ACCOUNT, by, time()).unwrap();
    }
}

fn messages() -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
}

fn uri(message: &Value) -> String {
    message["uri"].as_str().unwrap().to_owned()
}

#[test]
fn a_created_message_has_the_shape_of_the_api() {
    let mut api = Api::new();
    let message = api.created(&[]);
    let sid = message["sid"].as_str().unwrap().to_owned();
    assert!(sid.starts_with("SM") && sid.len() == 34);
    let expected = json!({
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": "hi",
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
        "date_sent": null,
        "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "from": OURS,
        "messaging_service_sid": null,
        "num_media": "0",
        "num_segments": "1",
        "price": null,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {
            "media": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}/Media.json"),
        },
        "to": THEIRS,
        "uri": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json"),
    });
    assert_eq!(message, expected);
    assert_eq!(api.get(&uri(&message)), expected);
    api.deliver();
    let delivered = api.get(&uri(&message));
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(delivered["date_sent"], "Thu, 24 Aug 2023 05:01:45 +0000");
}

#[test]
fn a_messaging_service_accepts_without_a_sender() {
    let mut api = Api::new();
    let message = api.created(&[("MessagingServiceSid", SERVICE), ("From", "")]);
    assert_eq!(message["status"], "accepted");
    assert_eq!(message["from"], Value::Null);
    assert_eq!(message["num_segments"], "0");
    assert_eq!(message["messaging_service_sid"], SERVICE);
    api.deliver();
    let sent = api.get(&uri(&message));
    assert_eq!(
        (&sent["from"], &sent["num_segments"]),
        (&json!("+15005550006"), &json!("1"))
    );
}

#[test]
fn invalid_parameters_have_the_codes_of_the_api() {
    let mut api = Api::new();
    let long = "x".repeat(1_601);
    for (change, code) in [
        (&[("To", "")][..], 21_604),
        (&[("To", "55")][..], 21_211),
        (&[("To", "+1555x")][..], 21_211),
        (&[("To", "+15005550001")][..], 21_211),
        (&[("To", "+15005550002")][..], 21_612),
        (&[("To", "+15005550003")][..], 21_408),
        (&[("To", "+15005550004")][..], 21_610),
        (&[("To", "+15005550009")][..], 21_614),
        (&[("From", "")][..], 21_603),
        (&[("From", "no number at all")][..], 21_212),
        (&[("From", "+15005550001")][..], 21_212),
        (&[("From", "+15005550007")][..], 21_606),
        (&[("Body", "")][..], 21_602),
        (&[("Body", long.as_str())][..], 21_617),
        (&[("MediaUrl", "ftp://h/a.png")][..], 21_620),
        (&[("MediaUrl", "http://h/a.png"); 11][..], 21_623),
        (&[("StatusCallback", "/status")][..], 21_609),
        (&[("MessagingServiceSid", "MG1")][..], 21_701),
        (&[("ValidityPeriod", "36001")][..], 20_001),
        (&[("ScheduleType", "fixed")][..], 35_118),
        (
            &[
                ("ScheduleType", "fixed"),
                ("MessagingServiceSid", SERVICE),
                ("SendAt", "2023-08-24T05:10:00Z"),
            ][..],
            35_114,
        ),
    ] {
        assert_eq!(api.refused(change), (400, code), "{change:?}");
    }
    let full = api.refused(&[("From", "+15005550008")]);
    assert_eq!(full, (429, 21_611));
    assert_eq!(api.refused(&[("To", "+15005550105")]), (400, 21_211));
    api.created(&[("From", "ACME")]);
    api.created(&[("To", "12345")]);
    api.created(&[("Body", ""), ("MediaUrl", "http://h/a.png")]);
}

#[test]
fn a_request_without_the_token_is_refused() {
    let mut api = Api::new();
    for authorization in [
        String::new(),
        "Basic !".to_owned(),
        basic(ACCOUNT, "wrong"),
        basic("AC2", "token"),
        basic(ACCOUNT, "token").replace("Basic", "Bearer"),
    ] {
        api.authorization = authorization;
        assert_eq!(api.refused(&[]), (401, 20_003), "{}", api.authorization);
    }
    api.authorization = basic("SK00000000000000000000000000000001", "token");
    api.created(&[]);
    let other = messages().replace(ACCOUNT, "AC2");
    assert_eq!(api.call(&Method::GET, &other, &[]).0, 401);
}

#[test]
fn unknown_resources_and_methods_are_refused() {
    let mut api = Api::new();
    let message = uri(&api.created(&[]));
    let media = message.replace(".json", "/Media.json");
    let unknown = messages().replace(".json", "/SM1.json");
    let unknown_media = media.replace(".json", "/ME1.json");
    let calls = messages().replace("Messages", "Calls");
    for (method, path, expected) in [
        (Method::GET, "/".to_owned(), (404, 20_404)),
        (
            Method::GET,
            "/2010-04-01/Accounts/".to_owned(),
            (401, 20_003),
        ),
        (Method::GET, unknown, (404, 20_404)),
        (Method::GET, calls, (404, 20_404)),
        (Method::GET, unknown_media, (404, 20_404)),
        (Method::DELETE, messages(), (405, 20_004)),
        (Method::PUT, message, (405, 20_004)),
        (Method::POST, media, (405, 20_004)),
    ] {
        let (status, error) = api.call(&method, &path, &[]);
        assert_eq!(
            (status, error["code"].as_u64()),
            (expected.0, Some(expected.1)),
            "{method} {path}"
        );
    }
    let account = api.get(&format!("/2010-04-01/Accounts/{ACCOUNT}.json"));
    assert_eq!(account["status"], "active");
}

#[test]
fn pages_follow_one_another_while_messages_arrive() {
    let mut api = Api::new();
    for number in 0..5 {
        api.created(&[("Body", &number.to_string())]);
    }
    api.created(&[("To", "+15552224444")]);
    let mut next = format!("{}?To=%2B15552223333&PageSize=2", messages());
    let mut bodies = Vec::new();
    loop {
        let page = api.get(&next);
        assert_eq!(page["page"], bodies.len().div_ceil(2));
        assert_eq!(page["start"], bodies.len());
        for message in page["messages"].as_array().unwrap() {
            bodies.push(message["body"].as_str().unwrap().to_owned());
        }
        assert_eq!(page["end"], bodies.len() - 1);
        api.created(&[("Body", "new")]);
        match page["next_page_uri"].as_str() {
            Some(uri) => uri.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(bodies, ["4", "3", "2", "1", "0"]);
    for query in ["PageSize=x", "Page=-1", "PageToken=x", "DateSent=today"] {
        let path = format!("{}?{query}", messages());
        assert_eq!(api.call(&Method::GET, &path, &[]).0, 400, "{query}");
    }
}

#[test]
fn messages_are_listed_by_the_day_on_which_they_were_sent() {
    let mut api = Api::new();
    api.created(&[]);
    let count = |api: &mut Api, query: &str| {
        let page = api.get(&format!("{}?{query}", messages()));
        page["messages"].as_array().unwrap().len()
    };
    assert_eq!(count(&mut api, "DateSent=2023-08-24"), 0, "not sent yet");
    assert_eq!(count(&mut api, ""), 1);
    api.deliver();
    for (query, expected) in [
        ("DateSent=2023-08-24", 1),
        ("DateSent=2023-08-24T23:00:00Z", 1),
        ("DateSent=2023-08-23", 0),
        ("DateSent%3E=2023-08-24", 1),
        ("DateSent%3E=2023-08-25", 0),
        ("DateSent%3C=2023-08-24", 1),
        ("DateSent%3C=2023-08-23", 0),
        ("DateSent%3C=2023-08-24T05:01:45Z", 0),
        ("From=%2B15550001111", 1),
        ("From=%2B15550002222", 0),
    ] {
        assert_eq!(count(&mut api, query), expected, "{query}");
    }
}

#[test]
fn a_scheduled_message_can_be_canceled_and_another_cannot() {
    let mut api = Api::new();
    let scheduled = api.created(&[
        ("ScheduleType", "fixed"),
        ("MessagingServiceSid", SERVICE),
        ("SendAt", "2023-08-24T06:00:00Z"),
    ]);
    assert_eq!(scheduled["status"], "scheduled");
    let cancel = [("Status", "canceled")];
    let (status, canceled) = api.post(&uri(&scheduled), &cancel);
    assert_eq!((status, &canceled["status"]), (200, &json!("canceled")));
    let queued = api.created(&[]);
    let (status, error) = api.post(&uri(&queued), &cancel);
    assert_eq!((status, &error["code"]), (400, &json!(30_409)));
    let (status, error) = api.post(&uri(&queued), &[("Status", "sent")]);
    assert_eq!((status, &error["code"]), (400, &json!(20_001)));
}

#[test]
fn only_a_complete_message_is_redacted_or_deleted() {
    let mut api = Api::new();
    let message = uri(&api.created(&[]));
    let (status, error) = api.post(&message, &[("Body", "")]);
    assert_eq!((status, &error["code"]), (409, &json!(20_009)));
    assert_eq!(api.call(&Method::DELETE, &message, &[]).0, 409);
    api.deliver();
    let (status, redacted) = api.post(&message, &[("Body", "")]);
    assert_eq!((status, &redacted["body"]), (200, &json!("")));
    assert_eq!(api.post(&message, &[("Body", "other")]).0, 400);
    assert_eq!(api.call(&Method::DELETE, &message, &[]).0, 204);
    assert_eq!(api.call(&Method::GET, &message, &[]).0, 404);
}

#[test]
fn media_are_listed_and_lead_to_their_content() {
    let mut api = Api::new();
    let url = "http://127.0.0.1/cat.PNG?size=1";
    let message = api.created(&[("MediaUrl", url)]);
    assert_eq!(message["num_media"], "1");
    assert!(message["sid"].as_str().unwrap().starts_with("MM"));
    let list = message["subresource_uris"]["media"].as_str().unwrap();
    let list = api.get(list);
    let media = &list["media_list"][0];
    assert_eq!(media["content_type"], "image/png");
    assert_eq!(media["parent_sid"], message["sid"]);
    let path = uri(media);
    assert_eq!(api.get(&path), *media);
    let content = path.strip_suffix(".json").unwrap();
    match api.raw(&Method::GET, content, &[]) {
        Answer::Response(response) => {
            assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
            assert_eq!(response.headers[0].1, url);
        }
        silent @ Answer::Silent(_) => panic!("{silent:?}"),
    }
    assert_eq!(api.call(&Method::DELETE, &path, &[]).0, 204);
    assert_eq!(api.call(&Method::GET, &path, &[]).0, 404);
}

#[test]
fn a_file_of_a_customer_is_served_without_the_token() {
    let mut api = Api::new();
    let text = InboundText {
        account: ACCOUNT.to_owned(),
        from: THEIRS.to_owned(),
        to: OURS.to_owned(),
        body: String::new(),
        media: vec![NewMedia {
            url: String::new(),
            content_type: "image/png".to_owned(),
            content: Some(Bytes::from_static(b"png")),
        }],
    };
    let sid = api.network.receive(text, time()).unwrap().sid.clone();
    assert!(sid.starts_with("MM"));
    let (_, webhook) = api.network.webhooks(ACCOUNT).next().unwrap();
    let parameter = |name: &str| {
        let found = webhook.parameters.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(parameter("NumMedia").as_deref(), Some("1"));
    assert_eq!(parameter("MediaContentType0").as_deref(), Some("image/png"));
    let url = parameter("MediaUrl0").unwrap();
    let path = url
        .strip_prefix("http://127.0.0.1:8090")
        .unwrap()
        .to_owned();
    api.authorization = String::new();
    match api.raw(&Method::GET, &path, &[]) {
        Answer::Response(response) => {
            assert_eq!(response.status, StatusCode::OK);
            assert_eq!(response.content_type, "image/png");
            assert_eq!(response.body, "png");
        }
        silent @ Answer::Silent(_) => panic!("{silent:?}"),
    }
    let resource = format!("{path}.json");
    assert_eq!(api.call(&Method::GET, &resource, &[]).0, 401);
    assert_eq!(api.call(&Method::DELETE, &path, &[]).0, 401);
}

#[test]
fn faults_are_answered_as_the_api_does() {
    let mut api = Api::new();
    let fault = |kind, delay| Fault {
        kind,
        probability: 1.0,
        count: Some(1),
        delay,
        recipient: Some(THEIRS.to_owned()),
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let script = Script {
        seed: 1,
        faults: vec![
            fault(
                FaultKind::TooManyRequests,
                Some(Duration::from_millis(2_500)),
            ),
            fault(FaultKind::ServerError, None),
            fault(FaultKind::OptedOut, None),
            fault(FaultKind::Hang, seconds(9)),
            fault(FaultKind::AcceptThenTimeout, None),
        ],
    };
    api.network.set_script(ACCOUNT, script).unwrap();
    let form = [("To", THEIRS), ("From", OURS), ("Body", "hi")];
    match api.raw(&Method::POST, &messages(), &form) {
        Answer::Response(response) => {
            assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
            let names: Vec<_> = response
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(
                names,
                [("retry-after", "3"), ("twilio-concurrent-requests", "1")]
            );
        }
        silent @ Answer::Silent(_) => panic!("{silent:?}"),
    }
    assert_eq!(api.refused(&[]), (500, 20_500));
    assert_eq!(api.refused(&[]), (400, 21_610));
    let silent = api.raw(&Method::POST, &messages(), &form);
    assert_eq!(silent, Answer::Silent(seconds(9)));
    assert_eq!(api.network.messages(ACCOUNT).count(), 0);
    let silent = api.raw(&Method::POST, &messages(), &form);
    assert_eq!(silent, Answer::Silent(None));
    assert_eq!(api.network.messages(ACCOUNT).count(), 1);
}

/// Parameters that the API knows and the simulator has no use for are accepted.
#[test]
fn other_parameters_have_no_effect() {
    let mut api = Api::new();
    api.created(&[
        ("SmartEncoded", "true"),
        ("ProvideFeedback", "false"),
        ("MaxPrice", "1"),
        ("ContentRetention", "retain"),
        ("NewParameter", "x"),
    ]);
}
