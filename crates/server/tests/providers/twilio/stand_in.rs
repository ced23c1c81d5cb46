//! Server that speaks the part of Twilio's API that a hand-over uses. It keeps the messages that it accepts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parlance_testkit::eventually;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ACCOUNT_SID;
use crate::service::SOON;

/// Later than any hand-over of a test.
const CREATED: &str = "Thu, 31 Dec 2099 23:59:59 +0000";

/// An accepted message: the parameters of its creation.
#[derive(Debug, Clone)]
pub(super) struct Accepted(Vec<(String, String)>);

impl Accepted {
    /// The value of a parameter; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct State {
    accepted: Mutex<Vec<Accepted>>,
    loses_answers: AtomicBool,
}

pub(super) struct StandIn {
    pub(super) url: String,
    state: Arc<State>,
}

impl StandIn {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&served);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state }
    }

    /// Closes connections instead of answering, after the message was accepted.
    pub(super) fn lose_answers(&self) {
        self.state.loses_answers.store(true, Ordering::Relaxed);
    }

    pub(super) fn accepted(&self) -> Vec<Accepted> {
        self.state.accepted.lock().unwrap().clone()
    }

    /// Waits for the first accepted message.
    pub(super) async fn first(&self) -> Accepted {
        eventually(SOON, async || self.accepted().into_iter().next()).await
    }
}

/// The provider's id of the message at a position.
pub(super) fn sid(index: usize) -> String {
    format!("SM{index}")
}

/// Ends the connection.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed")
    }
}

impl std::error::Error for Closed {}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json");
    let (status, reply) = if head.uri.path() != path {
        (StatusCode::NOT_FOUND, json!({ "code": 20_404 }))
    } else if head.method == Method::POST {
        let form = form_urlencoded::parse(&body).into_owned().collect();
        let sid = {
            let mut accepted = state.accepted.lock().unwrap();
            accepted.push(Accepted(form));
            sid(accepted.len() - 1)
        };
        if state.loses_answers.load(Ordering::Relaxed) {
            return Err(Closed);
        }
        let created = json!({ "sid": sid, "status": "queued" });
        (StatusCode::CREATED, created)
    } else {
        (StatusCode::OK, list(&state))
    };
    let body = Full::new(Bytes::from(reply.to_string()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    Ok(response)
}

/// The accepted messages, newest first.
fn list(state: &State) -> Value {
    let accepted = state.accepted.lock().unwrap();
    let messages = accepted.iter().enumerate().rev().map(|(index, message)| {
        json!({
            "sid": sid(index), "status": "sent", "direction": "outbound-api",
            "from": message.get("From"), "to": message.get("To"), "body": message.get("Body"),
            "num_media": "0", "date_created": CREATED,
        })
    });
    json!({ "messages": messages.collect::<Vec<_>>(), "next_page_uri": null })
}
