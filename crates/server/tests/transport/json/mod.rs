//! Tests of JSON over HTTP.

mod bodies;
mod errors;
mod methods;
mod pages;
mod servers;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) use servers::{StubServer, TestServer};

/// Whole response; `json` is null if the body is not JSON.
#[derive(Debug)]
pub(crate) struct JsonResponse {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl JsonResponse {
    /// Reason of an error.
    pub(crate) fn reason(&self) -> &str {
        self.detail("ErrorInfo")["reason"].as_str().unwrap()
    }

    /// Detail of this type.
    pub(crate) fn detail(&self, name: &str) -> &Value {
        let kind = format!("type.googleapis.com/google.rpc.{name}");
        let details = self.json["details"].as_array();
        let details = details.unwrap_or_else(|| panic!("no error: {self:?}"));
        let found = details.iter().find(|it| it["@type"] == kind.as_str());
        found.unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn assert_fault(&self, code: u16, status: &str, reason: &str) {
        let actual = (
            self.code.as_u16(),
            self.json["status"].as_str(),
            self.reason(),
        );
        assert_eq!(actual, (code, Some(status), reason), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json");
    }
}

/// Sends a request and reads the response.
pub(crate) async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> JsonResponse {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    JsonResponse {
        code: head.status,
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
