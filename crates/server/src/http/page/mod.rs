//! The page: a demonstration of the service in a browser.
//!
//! One document without external resources, joined from its parts when the port opens. The content security policy
//! allows only its own style and script, by their hashes. Text never becomes markup.

use axum::Router;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest as _, Sha256};

const TEMPLATE: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
/// One module; a part may use the parts before it.
const SCRIPT: [&str; 7] = [
    include_str!("dom.js"),
    include_str!("api.js"),
    include_str!("state.js"),
    include_str!("views.js"),
    include_str!("forms.js"),
    include_str!("webhooks.js"),
    include_str!("main.js"),
];

/// Returns the route of the page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(real_providers: &[&str]) -> Router<S> {
    let script = SCRIPT.join("\n");
    let document = TEMPLATE
        .replacen("{{providers}}", &providers(real_providers), 1)
        .replacen("{{style}}", STYLE, 1)
        .replacen("{{script}}", &script, 1);
    let policy = HeaderValue::try_from(policy(STYLE, &script)).ok();
    Router::new().route("/", get(async move || page(document, policy)))
}

/// Says whether messages leave this machine. The names of providers have no special characters of HTML.
fn providers(real: &[&str]) -> String {
    if real.is_empty() {
        return "Providers are simulated: a message never leaves this machine.".to_owned();
    }
    let real = real.join(", ");
    format!("Messages are sent by {real} to real recipients.")
}

fn page(document: String, policy: Option<HeaderValue>) -> Response {
    let mut response = Html(document).into_response();
    let fixed: [(HeaderName, &str); 3] = [
        // A later version of the service serves another page at the same address.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let headers = response.headers_mut();
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    // The page is safe without its policy, too: the policy is a second defence.
    headers.extend(policy.map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    response
}

fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(style),
        hash(script)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_external_resources_and_text_never_becomes_markup() {
        let script = SCRIPT.join("\n");
        for text in [TEMPLATE, STYLE, &script] {
            assert!(!text.contains("https://") && !text.contains("@import"));
        }
        assert!(!STYLE.contains("url("));
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "</script",
        ] {
            assert!(!script.contains(word), "{word}");
        }
        assert!(!STYLE.contains("</style"));
        // The policy forbids these.
        assert!(!TEMPLATE.contains(" style=") && !TEMPLATE.contains(" onclick="));
    }

    #[test]
    fn the_page_says_whether_messages_leave_this_machine() {
        assert_eq!(TEMPLATE.matches("{{providers}}").count(), 1);
        assert!(providers(&[]).contains("never leaves this machine"));
        assert!(providers(&["one", "two"]).contains("by one, two to real recipients"));
    }

    #[test]
    fn test_recipients_match_the_simulator() {
        let forms = SCRIPT[4];
        for magic in parlance_providers::simulator::MAGIC_RECIPIENTS {
            let row = format!(r#"["{}", "{}","#, magic.phone, magic.mailbox);
            assert!(forms.contains(&row), "{row}");
        }
    }
}
