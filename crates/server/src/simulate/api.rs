//! Twilio's API as a route: every path that no other route has.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use parlance_transport::layers::{Rpc, faults};
use tonic::Status;
use tonic::service::Routes;

use super::driver::Driver;
use super::provider::network::{Refusal, code};
use super::provider::twilio::{Answer, ApiRequest, ApiResponse, answer};
use crate::body_limits::Limits;
use crate::http::body;
use crate::http::calls::Calls;
use crate::http::json;

/// A message with ten long URLs, each byte of which is percent-encoded.
const MAX_FORM_BYTES: usize = 256 * 1024;
const REMEDY: &str = "a message has at most 1,600 characters and 10 URLs";
/// How long a request without an answer is kept open if the script does not say it.
const SILENCE: Duration = Duration::from_mins(1);

/// State of the route. Cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    driver: Arc<Driver>,
    rpc: Rpc<Routes>,
    calls: Calls,
}

impl Api {
    /// Shares the budget and the drain of `rpc`.
    pub(super) fn new(driver: Arc<Driver>, rpc: Rpc<Routes>, calls: Calls) -> Self {
        Self { driver, rpc, calls }
    }

    async fn answer(&self, head: &Parts, body: Body) -> Result<Response, Status> {
        let open = self.calls.enter().filter(|_| !self.rpc.is_draining());
        let _open = open.ok_or_else(faults::going_away)?;
        let request_bytes = self.rpc.budget().register();
        let limits = Limits::of_body(MAX_FORM_BYTES);
        let form = body::read(body, &head.headers, limits, &request_bytes, REMEDY).await?;
        let authorization = head.headers.get(header::AUTHORIZATION);
        let request = ApiRequest {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            authorization: authorization
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default(),
            body: &form,
        };
        let answered = self
            .driver
            .apply(|network, time| answer(network, time, self.driver.credentials(), &request));
        let response = match answered {
            Answer::Response(response) => response,
            Answer::Silent(delay) => {
                self.driver.hang(delay.unwrap_or(SILENCE)).await;
                let refusal = Refusal::new(code::SERVER_ERROR, "Gateway timeout");
                ApiResponse::error(&refusal.with_status(StatusCode::GATEWAY_TIMEOUT))
            }
        };
        Ok(to_http(response))
    }
}

/// Returns the route.
pub(super) fn routes(api: Api) -> Router {
    Router::new().fallback(route).with_state(api)
}

async fn route(State(api): State<Api>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let answered = api.answer(&head, body).await;
    let response = answered.unwrap_or_else(|refusal| json::refusal(&refusal));
    let (path, status) = (head.uri.path(), response.status().as_u16());
    tracing::debug!(method = %head.method, path, status, "a request ended");
    response
}

fn to_http(response: ApiResponse) -> Response {
    let ApiResponse {
        status,
        content_type,
        headers,
        body,
    } = response;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let all = response.headers_mut();
    all.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let headers = headers.into_iter();
    for (name, value) in headers.chain([(header::CONTENT_TYPE, content_type)]) {
        // A URL or a type of the application may have characters that a header cannot have.
        if let Ok(value) = HeaderValue::try_from(value) {
            all.insert(name, value);
        }
    }
    response
}
