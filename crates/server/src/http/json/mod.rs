//! Every unary method as JSON: `POST /<package>.<Service>/<Method>`, for clients such as curl.
//!
//! Driven by the descriptors: the JSON is converted to the encoded request, which passes through the same layers as a
//! gRPC call, and the encoded reply is converted to JSON. So deadlines, limits, metrics and metadata are the same, and
//! a new method needs no code here.
//!
//! Invariants:
//! * A page of a disallowed origin cannot call a method: see [`origin`], and the content type, which makes a browser
//!   send a preflight request.
//! * A request that is too large, too slow or has too many values costs little.
//! * Every error is a `google.rpc.Status` in JSON.

mod call;
mod contract;
mod details;
mod fault;
mod read;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use parlance_transport::layers::{Rpc, WebOrigins, faults, origin};
use tonic::service::Routes;
use tonic::{Code, Status};

pub use contract::UnreadableContract;

pub use crate::body_limits::Limits;
use crate::http::body;
pub use crate::http::calls::Calls;
use contract::{Contract, Target};

/// What a client can do about a body that is too large.
const REMEDY: &str = "MAX_REQUEST_BYTES limits it; send files with UploadAttachment first";

/// State of the JSON routes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Json {
    rpc: Rpc<Routes>,
    contract: Arc<Contract>,
    origins: Arc<WebOrigins>,
    limits: Limits,
    calls: Calls,
}

impl Json {
    /// Serves the methods of these contracts, each an encoded `FileDescriptorSet`, by calls of `rpc`.
    pub fn new(
        rpc: Rpc<Routes>,
        contracts: &[&[u8]],
        origins: WebOrigins,
        limits: Limits,
    ) -> Result<Self, UnreadableContract> {
        Ok(Self {
            rpc,
            contract: Arc::new(Contract::new(contracts)?),
            origins: Arc::new(origins),
            limits,
            calls: Calls::default(),
        })
    }

    /// The open calls.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    async fn answer(&self, head: &Parts, body: Body) -> Result<Response, Status> {
        // Held until the call ends: the shutdown waits for it.
        let open = self.calls.enter().filter(|_| !self.rpc.is_draining());
        let _open = open.ok_or_else(faults::going_away)?;
        let path = head.uri.path();
        let target = self.contract.find(path);
        let Target { uri, input, output } =
            target.ok_or_else(|| faults::unknown_method(path))??;
        if head.method != Method::POST {
            return Err(fault::method_not_allowed(&head.method));
        }
        check_content_type(&head.headers)?;
        let request_bytes = self.rpc.budget().register();
        let json = body::read(body, &head.headers, self.limits, &request_bytes, REMEDY).await?;
        let message = read::message(input, &json)?;
        // The call accounts for the converted message from here on.
        drop((json, request_bytes));
        let metadata = call::metadata(&head.headers);
        let reply = call::unary(self.rpc.clone(), uri.clone(), metadata, &message).await;
        let mut response = match reply
            .outcome
            .and_then(|bytes| write::message(output, bytes))
        {
            Ok(json) => fault::json(json),
            Err(status) => fault::response(&status),
        };
        response.headers_mut().extend(reply.metadata);
        Ok(response)
    }
}

/// Error response as JSON.
pub(crate) fn refusal(status: &Status) -> Response {
    fault::response(status)
}

/// Returns the route of all methods.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(json: Json) -> Router<S> {
    let method = any(answer)
        .layer(origin::cors())
        // Outermost: only allowed origins get the CORS headers.
        .layer(from_fn_with_state(json.clone(), refuse_foreign_origins))
        .with_state(json);
    Router::new().route("/{service}/{method}", method)
}

async fn answer(State(json): State<Json>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // The HTTP port stays open after the calls have ended, for health checks. So a drain must end them here.
    let answered = tokio::select! {
        answered = json.answer(&head, body) => answered,
        () = json.rpc.cut() => Err(faults::going_away()),
    };
    match answered {
        Ok(response) => response,
        Err(refusal) => {
            json.rpc
                .refused(head.uri.path(), &head.headers, refusal.code());
            fault::response(&refusal)
        }
    }
}

async fn refuse_foreign_origins(
    State(json): State<Json>,
    request: Request,
    next: Next,
) -> Response {
    match check_origin(&json.origins, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => fault::response(&refusal),
    }
}

/// Refuses a request of a web page that may not call.
pub(crate) fn check_origin(origins: &WebOrigins, headers: &HeaderMap) -> Result<(), Status> {
    if origin::allows_own(origins, headers) {
        return Ok(());
    }
    Err(faults::fault(
        Code::PermissionDenied,
        "ORIGIN_NOT_ALLOWED",
        "pages of this origin may not call; add the origin to GRPC_WEB_ORIGINS",
    ))
}

/// Accepts `application/json`, or no content type. Forms and plain text are rejected, because a browser lets pages send
/// them to any origin without a preflight request.
fn check_content_type(headers: &HeaderMap) -> Result<(), Status> {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let Some(kind) = kind else { return Ok(()) };
    let essence = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(faults::fault(
        Code::InvalidArgument,
        "UNSUPPORTED_MEDIA_TYPE",
        "the content-type must be application/json; with curl, use --json instead of -d",
    ))
}
