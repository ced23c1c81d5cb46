//! A service with the provider, and an HTTP client.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use parlance_server::config::Settings;
use parlance_server::wiring::{self, Registration, Running};
use parlance_testkit::{SqliteFile, eventually};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Time-out for conditions: longer than anything takes on a busy machine, because it is reached only in a failure.
pub(crate) const SOON: Duration = Duration::from_mins(2);
/// Our address.
pub(crate) const OURS: &str = "+12125550000";
/// Their address.
pub(crate) const THEIRS: &str = "+16465550001";

/// A service of its own database.
pub(crate) struct Service {
    pub(crate) running: Running,
    _file: SqliteFile,
}

impl Service {
    pub(crate) async fn start(providers: &[Registration]) -> Self {
        Self::start_with(&[], providers).await
    }

    /// Starts it with further settings.
    pub(crate) async fn start_with(further: &[(&str, &str)], providers: &[Registration]) -> Self {
        let file = SqliteFile::new();
        let url = file.url();
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("GRPC_LISTEN", "127.0.0.1:0"),
            ("HTTP_LISTEN", "127.0.0.1:0"),
        ];
        let settings = settings.iter().chain(further);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(settings, None).unwrap();
        let running = wiring::start_with_providers(&settings, providers).await;
        Self {
            running: running.unwrap(),
            _file: file,
        }
    }

    /// Returns a URL of the HTTP port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http)
    }

    /// Calls a method as an owner, and returns the status and the reply or error.
    pub(crate) async fn call(&self, method: &str, request: &Value) -> (StatusCode, Value) {
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("x-parlance-owner", "acme".to_owned()),
        ];
        let url = self.url(&format!("/parlance.v1.{method}"));
        let (status, body) = post(&url, &headers, &request.to_string()).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Calls a method that must succeed.
    pub(crate) async fn ok(&self, method: &str, request: &Value) -> Value {
        let (status, reply) = self.call(method, request).await;
        assert_eq!(status, StatusCode::OK, "{method} {request}: {reply}");
        reply
    }

    /// Calls a method that must fail, and returns the reason.
    pub(crate) async fn refused(&self, method: &str, request: &Value) -> String {
        let (status, error) = self.call(method, request).await;
        assert_ne!(status, StatusCode::OK, "{method} {request}: {error}");
        let details = error["details"].as_array().unwrap();
        let reason = details.iter().find_map(|detail| detail["reason"].as_str());
        reason.unwrap_or_else(|| panic!("{error}")).to_owned()
    }

    /// Sends a text.
    pub(crate) async fn send(&self) -> Value {
        let request = json!({
            "channel": "CHANNEL_SMS", "fromAddress": OURS, "toAddress": THEIRS, "body": "hello",
        });
        self.ok("MessageService/SendMessage", &request).await
    }

    /// Waits until the answer of a message's provider is lost.
    pub(crate) async fn until_uncertain(&self, message: &Value) {
        let request = json!({ "id": message["id"] });
        eventually(SOON, async || {
            let message = self.ok("MessageService/GetMessage", &request).await;
            (message["status"] == "MESSAGE_STATUS_UNCERTAIN").then_some(())
        })
        .await;
    }

    /// Waits until a message has a status, and the id of its provider.
    pub(crate) async fn until(&self, message: &Value, status: &str) -> Value {
        let request = json!({ "id": message["id"] });
        eventually(SOON, async || {
            let message = self.ok("MessageService/GetMessage", &request).await;
            (message["status"] == status && message["providerMessageId"] != "").then_some(message)
        })
        .await
    }

    /// Returns the bodies of a message's conversation, oldest first.
    pub(crate) async fn bodies(&self, message: &Value) -> Vec<String> {
        let request = json!({ "conversationId": message["conversationId"], "oldestFirst": true });
        let page = self.ok("MessageService/ListMessages", &request).await;
        let messages = page["messages"].as_array().unwrap().iter();
        messages
            .map(|message| message["body"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Sends a POST, and returns the status and the body of the response.
pub(crate) async fn post(url: &str, headers: &[(&str, String)], body: &str) -> (StatusCode, Bytes) {
    let response = request(Method::POST, url, headers, body).await;
    (response.status(), response.into_body())
}

/// Sends a request, and returns the response.
pub(crate) async fn request(
    method: Method,
    url: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Response<Bytes> {
    let uri: Uri = url.parse().unwrap();
    let host = uri.authority().unwrap().as_str();
    let stream = TcpStream::connect(host).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let target = uri.path_and_query().unwrap().as_str();
    let mut request = Request::builder().method(method).uri(target);
    request = request.header("host", host);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    let response = sender.send_request(request.unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}
