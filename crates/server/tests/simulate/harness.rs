//! Harness: a running simulator and a client of it.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parlance_domain::Timestamp;
use parlance_server::drain::DrainOutcome;
use parlance_server::simulate::{self, Clock, Configuration};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Time-out of every wait; longer than any step takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(2);
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "12345";
pub(crate) const OURS: &str = "+15550001111";
pub(crate) const THEIRS: &str = "+15552223333";
/// 2023-08-24T05:01:45Z.
const NOW: Timestamp = Timestamp::from_micros(1_692_853_305_000_000);

pub(crate) struct Simulator {
    pub(crate) address: SocketAddr,
    signals: mpsc::Sender<()>,
    stopped: JoinHandle<DrainOutcome>,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) fn configuration() -> Configuration {
    Configuration {
        listen: "127.0.0.1:0".parse().unwrap(),
        inbound_url: String::new(),
        account: ACCOUNT.to_owned(),
        token: TOKEN.to_owned(),
        script: None,
        seed: Some(1),
        clock: Clock::Frozen(NOW),
    }
}

pub(crate) fn start() -> Simulator {
    start_with(configuration())
}

pub(crate) fn start_with(configuration: Configuration) -> Simulator {
    let running = simulate::start(configuration).unwrap();
    let address = running.address;
    let (signals, receiver) = mpsc::channel(2);
    let stopped = tokio::spawn(running.until_stopped(receiver));
    Simulator {
        address,
        signals,
        stopped,
    }
}

impl Simulator {
    /// Sends a signal.
    pub(crate) async fn signal(&self) {
        self.signals.send(()).await.unwrap();
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) -> DrainOutcome {
        self.stopped.await.unwrap()
    }

    /// Sends a request with the account's credentials; `None` if there is no response.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: String,
    ) -> Option<Reply> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let credentials = BASE64_STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", kind)
            .header("authorization", format!("Basic {credentials}"))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    /// Calls the API with a form.
    pub(crate) async fn call(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Reply {
        let kind = "application/x-www-form-urlencoded";
        let body = encode(form);
        self.try_call(method, path, kind, body).await.unwrap()
    }

    /// Creates a message whose status is reported to this URL; it may be empty.
    pub(crate) async fn create(&self, callback: &str) -> Reply {
        let form = [
            ("To", THEIRS),
            ("From", OURS),
            ("Body", "hi"),
            ("StatusCallback", callback),
        ];
        self.call(Method::POST, &messages(), &form).await
    }

    /// Calls a method of `SimulatorService`.
    pub(crate) async fn rpc(&self, method: &str, request: &Value) -> Reply {
        let path = format!("/parlance.v1.SimulatorService/{method}");
        let body = request.to_string();
        let reply = self.try_call(Method::POST, &path, "application/json", body);
        reply.await.unwrap()
    }

    /// Calls a method that must succeed.
    pub(crate) async fn ok(&self, method: &str, request: &Value) -> Value {
        let reply = self.rpc(method, request).await;
        assert_eq!(reply.status, 200, "{method} {request}: {reply:?}");
        reply.body
    }

    /// Sets a script with these faults, each with its further fields.
    pub(crate) async fn script(&self, faults: &Value) {
        let request = json!({ "seed": 7, "faults": faults });
        self.ok("SetScript", &request).await;
    }

    pub(crate) async fn advance(&self, seconds: u32) {
        let request = json!({ "by": format!("{seconds}s") });
        self.ok("AdvanceClock", &request).await;
    }

    /// Webhooks in the order of creation.
    pub(crate) async fn webhooks(&self) -> Vec<Value> {
        let listed = self.ok("ListWebhooks", &json!({ "pageSize": 200 })).await;
        let mut webhooks = listed["webhooks"].as_array().unwrap().clone();
        webhooks.reverse();
        webhooks
    }
}

pub(crate) fn messages() -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
}

/// Encodes a form: every byte but letters and digits by its number.
pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    let text = |text: &str| -> String {
        let bytes = text.bytes();
        bytes
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    let pairs = form.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", text(name), text(value)))
        .collect();
    pairs.join("&")
}

/// Decodes a form.
pub(crate) fn parse(form: &[u8]) -> Vec<(String, String)> {
    let text = |encoded: &str| {
        let mut bytes = Vec::new();
        let mut rest = encoded.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    let digits = str::from_utf8(&digits).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let form = str::from_utf8(form).unwrap();
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}
