//! Webhooks of providers: `POST /webhooks/<provider>/<path>` on the HTTP port, or on a port of their own.
//!
//! The provider registry says which paths exist and how large their bodies may be. The limits of time, the budget of
//! buffered bytes and the drain are those of the JSON calls. The provider verifies and parses the request.
//!
//! Invariants:
//! * Nothing of a request but its path and query is part of the URL that a provider verifies a signature with: the rest
//!   comes from the configuration.
//! * A request that was not handled gets a status that makes its provider repeat it.
//! * A port of their own, which may be open to the internet, serves only the webhooks of providers that sign them.

mod attachments;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use parlance_app::App;
use parlance_app::delivery::ProviderRegistry;
use parlance_providers::{Provider, WebhookOutcome, WebhookRequest, WebhookResponse};
use parlance_transport::layers::{Rpc, WebOrigins, faults};
use tonic::Status;
use tonic::service::Routes;

use self::attachments::Attachments;
use crate::body_limits::Limits;
use crate::http::body;
use crate::http::calls::Calls;
use crate::http::json;
use crate::telemetry::webhooks::WebhookMetrics;

/// Maximum time of a handler. Providers wait for 10 to 15 seconds, and repeat a request that got no answer.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(8);
/// What a provider can do about a body that is too large.
const REMEDY: &str = "send less in one request";
const ROOT: &str = "/webhooks/";
/// The path that the provider registry gives to providers.
const ATTACHMENT_ROUTE: &str = "/media/{provider}/{token}";

/// State of the routes. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    rpc: Rpc<Routes>,
    calls: Calls,
    providers: ProviderRegistry,
    served: Served,
    metrics: Option<WebhookMetrics>,
    attachments: Option<Attachments>,
    origins: Arc<WebOrigins>,
}

/// Providers whose webhooks a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// All of them.
    All,
    /// Those whose messages leave this machine. Their webhooks are signed.
    Real,
    /// The simulated ones.
    Simulated,
}

impl Served {
    fn includes(self, provider: &Provider) -> bool {
        match self {
            Self::All => true,
            Self::Real => !provider.is_simulated(),
            Self::Simulated => provider.is_simulated(),
        }
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Serves the webhooks of these providers. They share the budget and the drain of `rpc`, and are counted in `calls`,
    /// which the shutdown waits for.
    pub fn new(rpc: Rpc<Routes>, calls: Calls, providers: ProviderRegistry) -> Self {
        Self {
            rpc,
            calls,
            providers,
            served: Served::All,
            metrics: None,
            attachments: None,
            origins: Arc::new(WebOrigins::Loopback),
        }
    }

    /// Serves the attachments of hand-overs as well.
    #[must_use]
    pub(crate) fn with_attachments(mut self, app: Arc<App>) -> Self {
        let (rpc, calls) = (self.rpc.clone(), self.calls.clone());
        self.attachments = Some(Attachments { rpc, calls, app });
        self
    }

    /// Serves only the webhooks of some providers.
    #[must_use]
    pub(crate) fn serving(mut self, served: Served) -> Self {
        self.served = served;
        self
    }

    /// Takes requests of web pages from these origins instead of those of this machine.
    #[must_use]
    pub(crate) fn allowing_origins(mut self, origins: WebOrigins) -> Self {
        self.origins = Arc::new(origins);
        self
    }

    /// Counts the requests.
    #[must_use]
    pub(crate) fn counted(mut self, metrics: WebhookMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    async fn answer(&self, head: Parts, body: Body) -> Result<Response, Status> {
        // Held until the request is answered: the shutdown waits for it.
        let open = self.calls.enter().filter(|_| !self.rpc.is_draining());
        let _open = open.ok_or_else(faults::going_away)?;
        // A webhook without a signature would otherwise take requests of any page that the operator opens.
        json::check_origin(&self.origins, &head.headers)?;
        let path = head.uri.path();
        let target = path.strip_prefix(ROOT).and_then(|it| it.split_once('/'));
        let found = target.and_then(|(name, path)| {
            let provider = self.providers.get(name)?;
            let provider = self.served.includes(provider).then_some(provider)?;
            let webhooks = provider.webhooks.as_ref()?;
            Some((
                provider.name,
                path,
                webhooks,
                webhooks.max_body_bytes(path)?,
            ))
        });
        let Some((provider, path, webhooks, max_bytes)) = found else {
            return Ok((StatusCode::NOT_FOUND, "no provider has this webhook\n").into_response());
        };
        let request_bytes = self.rpc.budget().register();
        let limits = Limits::of_body(max_bytes);
        let body = body::read(body, &head.headers, limits, &request_bytes, REMEDY).await?;
        let query = head.uri.query().unwrap_or_default();
        let mut url = format!("{}/{path}", self.providers.webhook_url(provider));
        if let Some(query) = head.uri.query() {
            url.push('?');
            url.push_str(query);
        }
        let request = WebhookRequest {
            path: path.to_owned(),
            query: query.to_owned(),
            url,
            headers: head.headers,
            body,
        };
        let handled = tokio::time::timeout(HANDLER_TIMEOUT, webhooks.handle(request)).await;
        let handled = handled.unwrap_or_else(|_| WebhookResponse::retry_later());
        let outcome = handled.outcome;
        if outcome != WebhookOutcome::Accepted {
            tracing::debug!(provider, path, status = %handled.status, outcome = outcome.as_str(), "a webhook was not accepted");
        }
        if let Some(metrics) = &self.metrics {
            metrics.handled(provider, outcome);
        }
        Ok(response(handled))
    }
}

/// Returns the routes of the webhooks and of attachments. They exist a second time under the path of the public URL, since
/// a proxy may pass the path on or remove it. A path that belongs to no webhook is answered here, too: it is no method of the API.
pub fn routes<S: Clone + Send + Sync + 'static>(webhooks: Webhooks) -> Router<S> {
    let prefix = webhooks.providers.public_path().to_owned();
    let attachments = webhooks.attachments.clone();
    let handler = post(answer).with_state(webhooks);
    let mut routes = Router::new()
        .route("/webhooks/", handler.clone())
        .route("/webhooks/{provider}", handler.clone())
        .route("/webhooks/{provider}/", handler.clone())
        .route("/webhooks/{provider}/{*path}", handler);
    if let Some(attachments) = attachments {
        let fetch = get(attachments::fetch).with_state(attachments);
        routes = routes.route(ATTACHMENT_ROUTE, fetch);
    }
    if prefix.is_empty() {
        routes
    } else {
        routes.clone().nest(&prefix, routes)
    }
}

async fn answer(State(webhooks): State<Webhooks>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // The HTTP port stays open after the calls have ended, for health checks. So a drain must end them here.
    let answered = tokio::select! {
        answered = webhooks.answer(head, body) => answered,
        () = webhooks.rpc.cut() => Err(faults::going_away()),
    };
    answered.unwrap_or_else(|refusal| json::refusal(&refusal))
}

fn response(handled: WebhookResponse) -> Response {
    let WebhookResponse {
        outcome: _,
        status,
        content_type,
        body,
    } = handled;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(kind) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
