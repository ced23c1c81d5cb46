//! Look-up of lost messages in the provider's list.

use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Value, json};

use super::server::{Reply, Server};
use super::*;
use crate::{KnownMessages, LookUpQuery, LookUpResult};

/// The time of `NOW` in the API.
const CREATED: &str = "Mon, 30 Nov 2026 12:00:01 +0000";
const EARLIER: &str = "Mon, 30 Nov 2026 11:58:59 +0000";

/// Ids that are stored; none can be read if it is `None`.
struct Known(Option<HashSet<&'static str>>);

#[async_trait]
impl KnownMessages for Known {
    async fn is_known(&self, provider_message_id: &str) -> Option<bool> {
        let known = self.0.as_ref()?;
        Some(known.contains(provider_message_id))
    }
}

fn query(sender: Sender, known: Known) -> LookUpQuery {
    LookUpQuery {
        hand_over: hand_over(sender),
        from: OURS.to_owned(),
        to: THEIRS.to_owned(),
        body: "hello".to_owned(),
        attachments: 0,
        not_before: NOW,
        known: Arc::new(known),
    }
}

fn knowing(ids: impl IntoIterator<Item = &'static str>) -> LookUpQuery {
    query(sender(), Known(Some(ids.into_iter().collect())))
}

/// A message of the list, with changes.
fn entry(sid: &str, changes: &Value) -> Value {
    let mut entry = json!({
        "sid": sid, "status": "sent", "direction": "outbound-api", "from": OURS, "to": THEIRS,
        "body": "hello", "num_media": "0", "messaging_service_sid": null, "date_created": CREATED,
    });
    for (name, value) in changes.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

fn page(messages: &[Value], next: Option<&str>) -> Reply {
    let page = json!({ "messages": messages, "next_page_uri": next });
    Reply::json(StatusCode::OK, &page)
}

async fn look_up(server: &Server, query: &LookUpQuery) -> LookUpResult {
    let provider = provider_at(vec![account(&server.url)], LONG);
    provider.look_up.unwrap().look_up(query).await
}

fn accepted(sid: &str) -> LookUpResult {
    LookUpResult::Accepted {
        provider_message_id: sid.to_owned(),
    }
}

#[tokio::test]
async fn the_message_is_the_one_that_is_not_known() {
    let same = json!({});
    let listed = || page(&[entry("SM2", &same), entry("SM1", &same)], None);
    for (known, expected) in [
        (vec![], accepted("SM1")),
        (vec!["SM1"], accepted("SM2")),
        (vec!["SM2"], accepted("SM1")),
        (vec!["SM1", "SM2"], LookUpResult::NotFound),
    ] {
        let server = Server::start([listed()]).await;
        let result = look_up(&server, &knowing(known.clone())).await;
        assert_eq!(result, expected, "{known:?}");
    }
}

#[tokio::test]
async fn only_a_message_with_the_same_content_matches() {
    for (changes, matches) in [
        (json!({}), true),
        (json!({ "body": "hello " }), true),
        (
            json!({ "body": "Sent from your Twilio trial account - hello" }),
            true,
        ),
        (json!({ "status": "failed" }), true),
        (json!({ "body": "hello there" }), false),
        (json!({ "from": "+15550009999" }), false),
        (json!({ "to": "+15550009999" }), false),
        (json!({ "direction": "inbound" }), false),
        (json!({ "num_media": "1" }), false),
        (json!({ "date_created": EARLIER }), false),
    ] {
        let server = Server::start([page(&[entry("SM1", &changes)], None)]).await;
        let expected = if matches {
            accepted("SM1")
        } else {
            LookUpResult::NotFound
        };
        assert_eq!(look_up(&server, &knowing([])).await, expected, "{changes}");
        let request = server.request();
        let (path, filters) = request.uri.split_once('?').unwrap();
        assert_eq!(path, "/2010-04-01/Accounts/ACtest/Messages.json");
        assert_eq!(
            filters,
            "To=%2B15552223333&From=%2B15550001111&PageSize=100"
        );
    }
}

/// A number is assigned to it later.
#[tokio::test]
async fn a_message_of_a_messaging_service_is_found_by_the_service() {
    let service = |sid: &str| Sender {
        messaging_service: sid.to_owned(),
        ..sender()
    };
    for (sid, expected) in [("MG1", accepted("SM1")), ("MG2", LookUpResult::NotFound)] {
        let changes = json!({ "from": null, "messaging_service_sid": "MG1" });
        let server = Server::start([page(&[entry("SM1", &changes)], None)]).await;
        let query = query(service(sid), Known(Some(HashSet::new())));
        assert_eq!(look_up(&server, &query).await, expected, "{sid}");
        let filters = "To=%2B15552223333&PageSize=100";
        assert!(server.request().uri.ends_with(filters));
    }
}

#[tokio::test]
async fn further_pages_are_read_up_to_the_time_of_the_message() {
    let other = entry("SM3", &json!({ "body": "other" }));
    let found = entry("SM2", &json!({}));
    let before = entry("SM1", &json!({ "date_created": EARLIER }));
    let next = "/2010-04-01/Accounts/ACtest/Messages.json?Page=1&PageToken=PASM3";
    let replies = [
        page(&[other], Some(next)),
        page(&[found, before], Some(next)),
    ];
    let server = Server::start(replies).await;
    assert_eq!(look_up(&server, &knowing([])).await, accepted("SM2"));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].uri, next);
    assert!(requests[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_list_that_cannot_be_read_says_nothing() {
    let other = entry("SM3", &json!({ "body": "other" }));
    let next = "/2010-04-01/Accounts/ACtest/Messages.json?Page=1";
    let endless = || page(std::slice::from_ref(&other), Some(next));
    let many = std::iter::repeat_with(endless).take(100).collect();
    for replies in [
        vec![Reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({}))],
        vec![Reply::json(StatusCode::OK, &json!({ "code": 1 }))],
        vec![Reply::Close],
        vec![page(
            &[entry("SM1", &json!({ "date_created": null }))],
            None,
        )],
        vec![page(&[entry("../x", &json!({}))], None)],
        // The credentials go to no other path.
        vec![endless_to(
            "/2010-04-01/Accounts/ACother/Messages.json?Page=1",
        )],
        vec![endless_to(
            "@evil.example/2010-04-01/Accounts/ACtest/Messages.json?",
        )],
        many,
    ] {
        let server = Server::start(replies).await;
        let result = look_up(&server, &knowing([])).await;
        assert_eq!(result, LookUpResult::Unknown);
        assert!(server.requests().len() <= 5, "bounded");
    }
}

fn endless_to(uri: &str) -> Reply {
    page(&[], Some(uri))
}

#[tokio::test]
async fn without_the_known_messages_nothing_is_assumed() {
    let server = Server::start([page(&[entry("SM1", &json!({}))], None)]).await;
    let query = query(sender(), Known(None));
    assert_eq!(look_up(&server, &query).await, LookUpResult::Unknown);
}
