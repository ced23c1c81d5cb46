//! HTTP client that sends one webhook.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::provider::network::{Webhook, WebhookResult};
use super::provider::twilio::{encode, signature};

/// Bytes of a response that are read.
const MAX_REPLY_BYTES: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const USER_AGENT: &str = "TwilioProxy/1.1";

/// Result of an attempt.
pub(super) struct Posted {
    pub(super) result: WebhookResult,
    /// XML in a successful response.
    pub(super) reply: Option<String>,
}

/// Whether a URL can be called.
pub(super) fn is_callable(url: &str) -> bool {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    Uri::try_from(url).is_ok_and(|uri| Target::of(&uri).is_some())
}

/// Where to connect to.
struct Target {
    host: String,
    port: u16,
    authority: HeaderValue,
}

impl Target {
    fn of(uri: &Uri) -> Option<Self> {
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let authority = uri.authority()?;
        let host = authority.host();
        // An IPv6 address has brackets in a URL.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16();
        let shown = match port {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        Some(Self {
            host: host.to_owned(),
            port: port.unwrap_or(80),
            authority: HeaderValue::try_from(shown).ok()?,
        })
    }
}

/// Posts a webhook.
pub(super) async fn post(webhook: &Webhook, token: &str) -> Posted {
    let without_reply = |result| Posted {
        result,
        reply: None,
    };
    let Some((target, request)) = request(webhook, token) else {
        return without_reply(WebhookResult::NotCallable);
    };
    let timeouts = webhook.timeouts;
    let connecting = TcpStream::connect((target.host.as_str(), target.port));
    let Ok(Ok(stream)) = timeout(timeouts.connect, connecting).await else {
        return without_reply(WebhookResult::NotConnected);
    };
    match timeout(timeouts.read, exchange(stream, request)).await {
        Ok(Some(posted)) => posted,
        Ok(None) | Err(_) => without_reply(WebhookResult::NotAnswered),
    }
}

fn request(webhook: &Webhook, token: &str) -> Option<(Target, Request<Full<Bytes>>)> {
    let uri = Uri::try_from(webhook.url.as_str()).ok()?;
    let target = Target::of(&uri)?;
    let parameters = webhook.parameters.iter();
    let form = encode(parameters.map(|(name, value)| (name.as_str(), value.as_str())));
    let signature = signature(token, &webhook.url, &webhook.parameters);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, target.authority.clone())
        .header(header::CONTENT_TYPE, FORM)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header("x-twilio-signature", signature)
        .header("i-twilio-idempotency-token", &webhook.token)
        .body(Full::new(Bytes::from(form)))
        .ok()?;
    Some((target, request))
}

/// Sends the request and reads the response. `None` if the connection ends before the response has begun.
async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> Option<Posted> {
    // Small requests would wait for an acknowledgement.
    stream.set_nodelay(true).ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let answered = async {
        let response = sender.send_request(request).await.ok()?;
        Some(read(response).await)
    };
    tokio::pin!(answered);
    tokio::select! {
        posted = &mut answered => posted,
        // The connection may end together with the response.
        _ = connection => timeout(AFTER_END, answered).await.ok()?,
    }
}

/// Time to read what has arrived on a connection that has ended.
const AFTER_END: Duration = Duration::from_secs(1);

async fn read(response: http::Response<Incoming>) -> Posted {
    let (head, body) = response.into_parts();
    let is_xml = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("xml"));
    let body = Limited::new(body, MAX_REPLY_BYTES).collect().await;
    let reply = body
        .ok()
        .filter(|_| is_xml && head.status.is_success())
        .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    Posted {
        result: WebhookResult::Answered(head.status.as_u16()),
        reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_can_be_called() {
        for callable in [
            "http://h",
            "http://127.0.0.1:1/a?b=c#rc=2",
            "http://[::1]:80/",
        ] {
            assert!(is_callable(callable), "{callable}");
        }
        for other in ["", "https://h/", "h:80", "/path", "ftp://h", "http://"] {
            assert!(!is_callable(other), "{other}");
        }
    }

    #[test]
    fn the_host_is_named_as_in_the_url() {
        let target = |url: &str| {
            let target = Target::of(&Uri::try_from(url).unwrap()).unwrap();
            (target.host, target.port, target.authority)
        };
        let authority = HeaderValue::from_static;
        assert_eq!(
            target("http://user@h/x"),
            ("h".to_owned(), 80, authority("h"))
        );
        assert_eq!(
            target("http://[::1]:8080/x"),
            ("::1".to_owned(), 8_080, authority("[::1]:8080"))
        );
    }
}
