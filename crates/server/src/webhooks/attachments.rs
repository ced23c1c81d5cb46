//! Attachments for providers: `GET /media/<provider>/<token>` on the port of the webhooks.
//!
//! The URL is part of a hand-over, signed and short-lived; a client that has it may read this one attachment.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use parlance_app::attachments::AttachmentReader;
use parlance_app::{App, Kind};
use parlance_transport::layers::{Rpc, faults};
use tokio::sync::OwnedRwLockReadGuard;
use tonic::service::Routes;

use crate::http::calls::Calls;
use crate::http::json;

const ANY_TYPE: &str = "application/octet-stream";

/// State of the route. Cheap to clone.
#[derive(Clone)]
pub(super) struct Attachments {
    pub(super) rpc: Rpc<Routes>,
    pub(super) calls: Calls,
    pub(super) app: Arc<App>,
}

pub(super) async fn fetch(
    State(attachments): State<Attachments>,
    Path((provider, token)): Path<(String, String)>,
) -> Response {
    let Attachments { rpc, calls, app } = attachments;
    // Held until the content is sent: the shutdown waits for it.
    let open = calls.enter().filter(|_| !rpc.is_draining());
    let Some(open) = open else {
        return json::refusal(&faults::going_away());
    };
    match app.open_linked_attachment(&provider, &token).await {
        Ok(reader) => content(reader, open),
        Err(error) if error.reason.kind() == Kind::NotFound => not_found(),
        Err(error) => {
            tracing::warn!(%error, cause = error.causes(), "an attachment could not be read for its provider");
            (StatusCode::SERVICE_UNAVAILABLE, "try again later\n").into_response()
        }
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such attachment\n").into_response()
}

fn content(reader: AttachmentReader, open: OwnedRwLockReadGuard<()>) -> Response {
    let kind = HeaderValue::from_str(reader.content_type());
    let kind = kind.ok().filter(|kind| !kind.is_empty());
    let length = HeaderValue::from(reader.size_bytes());
    let chunks = stream::try_unfold((reader, open), next);
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    let kind = kind.unwrap_or(HeaderValue::from_static(ANY_TYPE));
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, length);
    // The content comes from a client. A browser must not run it in the name of this host.
    let sandbox = HeaderValue::from_static("sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, sandbox);
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    response
}

type Reading = (AttachmentReader, OwnedRwLockReadGuard<()>);

async fn next((mut reader, open): Reading) -> std::io::Result<Option<(Vec<u8>, Reading)>> {
    let chunk = reader.next().await.map_err(|error| {
        tracing::warn!(%error, cause = error.causes(), "an attachment could not be read to its end for its provider");
        std::io::Error::other("the attachment could not be read")
    })?;
    Ok(chunk.map(|chunk| (chunk, (reader, open))))
}
