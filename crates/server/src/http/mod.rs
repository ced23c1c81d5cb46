//! The HTTP port: whether the process lives, whether calls should come, what it has counted, every unary method as JSON, and
//! the page that shows what these do.
//!
//! Heads are limited in size and time by [`Options::http`](crate::listen::Options::http), bodies by [`json::Limits`]; no
//! other route reads one, and hyper closes a connection whose request has one that nobody wants.

pub mod json;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::json::Json;
use crate::layers::faults;
use crate::listen::BeyondLimit;
use crate::readiness::Readiness;
use crate::telemetry::metrics::Metrics;

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Whether calls should come.
    pub readiness: Arc<Readiness>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Every unary method.
    pub json: Json,
}

/// The routes.
pub fn router(parts: Parts) -> Router {
    let calls = json::routes(parts.json.clone())
        .merge(page::routes())
        .layer(from_fn(within_the_limit));
    Router::new()
        // Served until the drain is over and the port closes: that the process lives is all it says.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(calls)
        .with_state(parts)
}

/// Connections beyond `MAX_CONNECTIONS` are for health and metrics.
async fn within_the_limit(request: Request, next: Next) -> Response {
    if request.extensions().get::<BeyondLimit>().is_none() {
        return next.run(request).await;
    }
    let mut refusal = json::refusal(&faults::no_connection_left());
    let close = HeaderValue::from_static("close");
    refusal.headers_mut().insert(header::CONNECTION, close);
    refusal
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
            tracing::error!(%error, "metrics cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
