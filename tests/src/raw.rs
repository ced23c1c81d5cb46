//! Calls without a gRPC client, for what such a client hides or cannot send.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tonic::Status;

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub code: StatusCode,
    /// Response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Trailers after the body.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    async fn read(response: http::Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body");
        let trailers = body.trailers().cloned();
        Self {
            code: head.status,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        }
    }

    /// The gRPC status, from the trailers or the headers.
    pub fn status(&self) -> Status {
        let trailing = self.trailers.as_ref().and_then(Status::from_header_map);
        trailing
            .or_else(|| Status::from_header_map(&self.headers))
            .expect("a status")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A message in the framing of a gRPC body.
pub fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(encoded.len().try_into().expect("a short message"));
    frame.put_slice(&encoded);
    frame.freeze()
}

/// A gRPC call over HTTP/2.
pub async fn grpc(address: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(connect(address).await),
    )
    .await
    .expect("http/2");
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a request");
    Answer::read(sender.send_request(request).await.expect("an answer")).await
}

/// A request over HTTP/1.1; `url` is `http://127.0.0.1:port/path`.
pub async fn http1(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    try_http1(method, url, headers, body)
        .await
        .expect("an answer")
}

/// The same; `None` if there is no response.
pub async fn try_http1(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Option<Answer> {
    let (address, path) = url
        .trim_start_matches("http://")
        .split_once('/')
        .expect("a path");
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/{path}"))
        .header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a request");
    Some(Answer::read(sender.send_request(request).await.ok()?).await)
}

/// A GET over HTTP/1.1.
pub async fn get(url: &str) -> Answer {
    http1(Method::GET, url, &[], Bytes::new()).await
}

async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream
}
