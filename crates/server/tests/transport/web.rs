//! Tests of gRPC-Web, and of requests that are not gRPC.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::harness::{GET, Port, RawResponse, framed, get, start};

const WEB: &str = "application/grpc-web+proto";

async fn http1(
    port: &Port,
    method: Method,
    headers: &[(header::HeaderName, &str)],
    body: Bytes,
) -> RawResponse {
    let stream = TcpStream::connect(port.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(GET)
        .header(header::HOST, "localhost");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Full::new(body)).unwrap();
    RawResponse::read(sender.send_request(request).await.unwrap()).await
}

fn text(answer: &RawResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn a_browser_calls_over_http_1() {
    let port = start();
    let headers = [
        (header::CONTENT_TYPE, WEB),
        (header::ORIGIN, "http://localhost:5173"),
    ];
    let answer = http1(&port, Method::POST, &headers, framed(&get("a"))).await;
    assert_eq!(answer.code, StatusCode::OK);
    assert_eq!(
        answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "http://localhost:5173"
    );
    assert!(text(&answer).contains("grpc-status:0"), "{answer:?}");
}

#[tokio::test]
async fn a_browser_receives_errors() {
    let port = start();
    let headers = [(header::CONTENT_TYPE, WEB)];
    let answer = http1(&port, Method::POST, &headers, framed(&get("panic"))).await;
    assert_eq!(answer.code, StatusCode::OK);
    assert_eq!(answer.headers["grpc-status"], "13");
}

#[tokio::test]
async fn a_preflight_request_is_answered() {
    let port = start();
    let headers = [
        (header::ORIGIN, "http://localhost:5173"),
        (header::ACCESS_CONTROL_REQUEST_METHOD, "POST"),
        (
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            "content-type,x-grpc-web",
        ),
    ];
    let answer = http1(&port, Method::OPTIONS, &headers, Bytes::new()).await;
    assert_eq!(answer.code, StatusCode::OK);
    assert_eq!(
        answer.headers[header::ACCESS_CONTROL_ALLOW_HEADERS],
        "content-type,x-grpc-web"
    );
}

#[tokio::test]
async fn a_page_of_another_origin_reaches_no_handler() {
    let port = start();
    for method in [Method::POST, Method::OPTIONS] {
        let headers = [
            (header::CONTENT_TYPE, WEB),
            (header::ORIGIN, "http://evil.example:50051"),
        ];
        let answer = http1(&port, method, &headers, framed(&get("panic"))).await;
        assert_eq!(answer.code, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_request_that_is_not_grpc_is_refused_with_a_hint() {
    let port = start();
    let answer = http1(&port, Method::GET, &[], Bytes::new()).await;
    assert_eq!(answer.code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(text(&answer).contains("gRPC"));
}
