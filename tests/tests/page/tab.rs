//! A browser tab, used as a visitor would.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parlance_testkit::Browser;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::devtools::DevTools;

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct Tab {
    devtools: DevTools,
    session: String,
}

impl Tab {
    /// Opens a tab in a window of its own, which shares only the browser with other tests.
    pub(crate) async fn open(url: &str) -> Self {
        static BROWSER: OnceCell<Browser> = OnceCell::const_new();
        let browser = BROWSER.get_or_init(Browser::start).await;
        let mut devtools = DevTools::connect(browser.devtools()).await;
        let context = devtools
            .command(None, "Target.createBrowserContext", json!({}))
            .await;
        // A tab behind another one is hidden, and a hidden page sends no requests.
        let blank = json!({
            "url": "about:blank", "newWindow": true, "browserContextId": context["browserContextId"],
        });
        let target = devtools.command(None, "Target.createTarget", blank).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = devtools
            .command(None, "Target.attachToTarget", attach)
            .await;
        let session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        let mut tab = Self { devtools, session };
        for domain in ["Page", "Runtime", "Log"] {
            tab.command(&format!("{domain}.enable"), json!({})).await;
        }
        tab.size(1280, 800).await;
        tab.scheme("light").await;
        tab.command("Page.navigate", json!({ "url": url })).await;
        tab.until("document.readyState === 'complete'").await;
        tab
    }

    async fn command(&mut self, method: &str, params: Value) -> Value {
        let session = Some(self.session.as_str());
        self.devtools.command(session, method, params).await
    }

    pub(crate) async fn size(&mut self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// Sets the color scheme, and disables animations, so that pictures are stable.
    pub(crate) async fn scheme(&mut self, scheme: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.command(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// Evaluates a JavaScript expression.
    pub(crate) async fn get(&mut self, expression: &str) -> Value {
        let evaluate =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut reply = self.command("Runtime.evaluate", evaluate).await;
        assert!(
            reply.get("exceptionDetails").is_none(),
            "{expression}: {reply}"
        );
        reply["result"]["value"].take()
    }

    /// Waits until the expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let expression = expression.to_owned();
        async move {
            let end = tokio::time::Instant::now() + SOON;
            while self.get(&expression).await != true {
                if tokio::time::Instant::now() > end {
                    let shown = self.get("document.body.innerText").await;
                    panic!("{caller}: {expression} did not become true; the page shows:\n{shown}");
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Clicks on the element with the mouse.
    pub(crate) async fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const node = document.querySelector({selector:?}); node.scrollIntoView({{ block: 'nearest' }}); \
             const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let middle = self.get(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1});
            self.command("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Replaces the text of a field with the keyboard.
    pub(crate) async fn write(&mut self, selector: &str, text: &str) {
        self.get(&format!("{{ const field = document.querySelector({selector:?}); field.focus(); field.select(); }}"))
            .await;
        self.command("Input.insertText", json!({ "text": text }))
            .await;
    }

    /// Selects an option.
    pub(crate) async fn choose(&mut self, selector: &str, value: &str) {
        let choose = format!(
            "{{ const list = document.querySelector({selector:?}); list.value = {value:?}; \
             list.dispatchEvent(new Event('input', {{ bubbles: true }})); \
             list.dispatchEvent(new Event('change', {{ bubbles: true }})); }}"
        );
        self.get(&choose).await;
    }

    /// Text of the element.
    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let text = self
            .get(&format!("document.querySelector({selector:?}).textContent"))
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Screenshot as PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        let taken = self
            .command("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let data = taken["data"].as_str().expect("a picture");
        BASE64_STANDARD.decode(data).expect("base64")
    }

    /// Errors reported by the page, including refused requests.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.devtools.complaints()
    }
}
