//! The HTTP port: liveness, readiness, metrics, every unary method as JSON, the webhooks of providers, and the page that
//! demonstrates the methods.
//!
//! The [`Options`](parlance_transport::listen::Options::http) of the port limit the size and time of request heads,
//! [`json::Limits`] those of the bodies of JSON calls and webhooks. No other route reads a body, and hyper closes the
//! connection after a request with an unread body.

pub(crate) mod body;
pub(crate) mod calls;
pub mod json;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parlance_transport::layers::faults;
use parlance_transport::listen::BeyondLimit;
use parlance_transport::readiness::Readiness;

use self::json::Json;
use crate::telemetry::metrics::Metrics;

/// State of the routes.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Readiness of the service.
    pub readiness: Arc<Readiness>,
    /// Metrics of the service.
    pub metrics: Arc<Metrics>,
    /// All unary methods.
    pub json: Json,
    /// Names of the providers whose messages leave this machine, for the page.
    pub real_providers: Vec<&'static str>,
}

/// Returns the routes of the HTTP port, with those of the webhooks of providers.
pub fn router(parts: Parts, webhooks: Router<Parts>) -> Router {
    let calls = json::routes(parts.json.clone())
        .merge(webhooks)
        .merge(page::routes(&parts.real_providers))
        .layer(from_fn(within_limit));
    Router::new()
        // Served until the drain has ended and the port closes: it reports only that the process is alive.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(calls)
        .with_state(parts)
}

/// Returns the routes of a port for webhooks alone.
pub(crate) fn webhook_router(webhooks: Router) -> Router {
    webhooks.layer(from_fn(within_limit))
}

/// Rejects calls on connections beyond `MAX_CONNECTIONS`: those are reserved for health checks and metrics.
pub(crate) async fn within_limit(request: Request, next: Next) -> Response {
    if request.extensions().get::<BeyondLimit>().is_none() {
        return next.run(request).await;
    }
    let mut response = json::refusal(&faults::no_connection_left());
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

async fn ready(State(parts): State<Parts>) -> Response {
    match parts.readiness.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(parts): State<Parts>) -> Response {
    match parts.metrics.text() {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
