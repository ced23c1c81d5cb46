//! The HTTP port: whether the process lives, whether calls should come, what it has counted, every unary method as JSON, and
//! the page that shows what these do.
//!
//! Heads are limited in size and time by [`Options::http`](crate::listen::Options::http), bodies by [`json::Limits`]; no
//! other route reads one, and hyper closes a connection whose request has one that nobody wants.

pub mod json;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::json::Json;
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
    let methods = json::routes(parts.json.clone());
    Router::new()
        // Served until the drain is over and the port closes: that the process lives is all it says.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(methods)
        .merge(page::routes())
        .with_state(parts)
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
