//! Services and bodies that connections are served with.

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Service of a connection. [`tower::Service`] would need a clone and a readiness check per request.
pub trait Serve<B>:
    hyper::service::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<T, B> Serve<B> for T where
    T: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = std::convert::Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// Response body that can be sent.
pub trait ReplyBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {
    /// Whether the whole body is in memory until the client has read it.
    fn is_whole(&self) -> bool;
}

impl ReplyBody for axum::body::Body {
    fn is_whole(&self) -> bool {
        true
    }
}
