//! Application that receives webhooks: it records them, and answers as a test wants.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use parlance_testkit::eventually;
use tokio::net::TcpListener;

use crate::harness::{SOON, parse};
use crate::sha1::signature;

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) form: Vec<(String, String)>,
}

impl Received {
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.form.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Default)]
struct Records {
    received: Vec<Received>,
    /// Answers to the next webhooks; 204 when there are none.
    answers: VecDeque<(StatusCode, &'static str, String)>,
}

/// A running application.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    records: Arc<Mutex<Records>>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let records = Arc::<Mutex<Records>>::default();
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&records));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, records }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn answer_next(&self, status: u16, kind: &'static str, body: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut records = self.records.lock().unwrap();
        records.answers.push_back((status, kind, body.to_owned()));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.records.lock().unwrap().received.clone()
    }

    /// Waits for this number of webhooks, and checks the signature of each.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        let received = eventually(SOON, async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await;
        for webhook in &received {
            let url = self.url(&webhook.path);
            let expected = signature(crate::harness::TOKEN, &url, &webhook.form);
            assert_eq!(
                webhook.header("x-twilio-signature"),
                expected,
                "{webhook:?}"
            );
        }
        received
    }

    /// The statuses of this number of webhooks, in the order of arrival.
    pub(crate) async fn statuses(&self, count: usize) -> Vec<String> {
        let received = self.wait_for(count).await;
        let statuses = received.iter();
        statuses
            .map(|webhook| webhook.field("MessageStatus").to_owned())
            .collect()
    }
}

async fn receive(State(records): State<Arc<Mutex<Records>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.path_and_query().unwrap().to_string();
    let received = Received {
        path,
        headers: head.headers,
        form: parse(&body),
    };
    let mut records = records.lock().unwrap();
    records.received.push(received);
    match records.answers.pop_front() {
        Some((status, kind, body)) => {
            (status, [(header::CONTENT_TYPE, kind)], body).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    }
}
