//! Check of the origins of web pages.
//!
//! The server itself checks the origin and does not rely on CORS alone. With DNS rebinding a page lets its own host name resolve
//! to this machine: the browser then treats both as one origin and sends no preflight request, but `Origin` still names the page.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// Web origins that may call by gRPC-Web or JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebOrigins {
    /// Pages of this machine.
    Loopback,
    /// All pages.
    Any,
    /// Pages of these origins, in lower case.
    List(Vec<String>),
}

/// CORS headers for requests of an allowed origin; see [`allows_own`].
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        // Other origins were refused before.
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::any())
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Whether the caller is not a page, or a page that this port has served, or a page of an allowed origin.
///
/// A name in `Host` proves nothing, since rebinding makes it equal to that of the origin. An IP address cannot be rebound.
pub fn allows_own(origins: &WebOrigins, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text(header::ORIGIN)
        .zip(text(header::HOST))
        .is_some_and(|(origin, host)| is_own(&origin.to_ascii_lowercase(), host));
    own || allows(origins, headers)
}

fn is_own(origin: &str, host: &str) -> bool {
    let Some((_, authority)) = origin.split_once("://") else {
        return false;
    };
    let name = host_of(authority);
    authority == host.to_ascii_lowercase()
        && (name == "localhost" || name.parse::<IpAddr>().is_ok())
}

/// Whether the caller is not a page, or a page of an allowed origin.
pub(super) fn allows(origins: &WebOrigins, headers: &HeaderMap) -> bool {
    match headers.get(header::ORIGIN) {
        // Not a browser.
        None => true,
        Some(origin) => origin
            .to_str()
            .is_ok_and(|origin| is_allowed(origins, &origin.to_ascii_lowercase())),
    }
}

fn is_allowed(origins: &WebOrigins, origin: &str) -> bool {
    match origins {
        WebOrigins::Any => true,
        WebOrigins::List(list) => list.iter().any(|allowed| allowed == origin),
        WebOrigins::Loopback => is_loopback(origin),
    }
}

fn is_loopback(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    matches!(scheme, "http" | "https") && matches!(host_of(rest), "localhost" | "127.0.0.1" | "::1")
}

/// Host of an authority, without the port and without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or("", |(host, _)| host),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_origins_are_those_of_this_machine_only() {
        for origin in [
            "http://localhost",
            "https://localhost:5173",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
        ] {
            assert!(is_allowed(&WebOrigins::Loopback, origin), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "file://localhost",
            "",
        ] {
            assert!(!is_allowed(&WebOrigins::Loopback, origin), "{origin}");
        }
    }

    #[test]
    fn listed_origins_match_exactly() {
        let list = WebOrigins::List(vec!["https://app.example".to_owned()]);
        assert!(is_allowed(&list, "https://app.example"));
        assert!(!is_allowed(&list, "https://app.example:8443"));
        assert!(is_allowed(&WebOrigins::Any, "https://other.example"));
    }

    #[test]
    fn an_own_page_has_a_host_that_cannot_be_rebound() {
        for host in ["192.168.1.5:8080", "[fe80::1]:8080", "localhost:8080"] {
            assert!(is_own(&format!("http://{host}"), host), "{host}");
        }
        for (origin, host) in [
            ("http://evil.example:8080", "evil.example:8080"),
            ("http://192.168.1.5:8080", "192.168.1.5:9090"),
            (
                "http://192.168.1.5.evil.example",
                "192.168.1.5.evil.example",
            ),
            ("null", "192.168.1.5"),
        ] {
            assert!(!is_own(origin, host), "{origin}");
        }
    }
}
