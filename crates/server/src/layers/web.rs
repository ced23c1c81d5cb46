//! gRPC-Web, and which pages may use it.
//!
//! The origin is checked here, not only announced by CORS: a page that got its own name to point to this machine (DNS
//! rebinding) is of one origin with us in the browser's eyes, asks nobody, and still names itself in `Origin`.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, header};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::ServiceExt as _;
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer, ExposeHeaders};
use tower_layer::Layer as _;

use super::reply::Reply;
use super::rpc::Rpc;
use crate::config::WebOrigins;

const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// The path of a browser's call.
#[derive(Debug, Clone)]
pub(super) struct Web<S> {
    service: Cors<GrpcWebService<Rpc<S>>>,
    origins: WebOrigins,
}

pub(super) type WebFuture =
    Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

impl<S> Web<S> {
    pub(super) fn new(inner: Rpc<S>, origins: WebOrigins) -> Self {
        let cors = CorsLayer::new()
            // Whoever comes this far is allowed.
            .allow_origin(AllowOrigin::mirror_request())
            .allow_methods([Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::any())
            .max_age(PREFLIGHT_MAX_AGE);
        Self {
            service: cors.layer(GrpcWebLayer::new().layer(inner)),
            origins,
        }
    }

    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        match headers.get(header::ORIGIN) {
            // Not a browser.
            None => true,
            Some(origin) => origin
                .to_str()
                .is_ok_and(|origin| is_allowed(&self.origins, &origin.to_ascii_lowercase())),
        }
    }
}

impl<S> Web<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    pub(super) fn call(&self, request: Request<Incoming>) -> WebFuture {
        let answer = self.service.clone().oneshot(request.map(Body::new));
        Box::pin(async move { Ok(answer.await?.map(Reply::done)) })
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
    let host = match rest.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or("", |(host, _)| host),
        None => rest.split(':').next().unwrap_or_default(),
    };
    matches!(scheme, "http" | "https") && matches!(host, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
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
    fn a_list_is_exact() {
        let list = WebOrigins::List(vec!["https://app.example".to_owned()]);
        assert!(is_allowed(&list, "https://app.example"));
        assert!(!is_allowed(&list, "https://app.example:8443"));
        assert!(is_allowed(&WebOrigins::Any, "https://other.example"));
    }
}
