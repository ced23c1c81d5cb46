//! The debugging protocol of Chromium, as far as the tests need it: commands, their responses, and errors that a page
//! reports.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// One connection to a browser.
pub(crate) struct DevTools {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    /// Errors reported by pages.
    complaints: VecDeque<String>,
}

impl DevTools {
    pub(crate) async fn connect(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.expect("the browser answers");
        Self {
            socket,
            last_id: 0,
            complaints: VecDeque::new(),
        }
    }

    /// Sends a command to the browser, or to the tab of a session.
    pub(crate) async fn command(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let text = Message::text(command.to_string());
        self.socket.send(text).await.expect("the browser listens");
        loop {
            let mut reply = self.next().await;
            if reply["id"] == id {
                assert!(reply.get("error").is_none(), "{method}: {reply}");
                return reply["result"].take();
            }
            self.note(&reply);
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = self.socket.next().await.expect("the browser lives");
            if let Message::Text(text) = message.expect("the browser speaks") {
                return serde_json::from_str(&text).expect("the browser speaks JSON");
            }
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        let text = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => &params["exceptionDetails"],
            // Violations of the content security policy are reported here.
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => &params["entry"],
            _ => return,
        };
        self.complaints.push_back(text.to_string());
    }

    /// Errors reported by pages since the last call.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.complaints.drain(..).collect()
    }
}
