//! Trailers of a successful reply. With tonic a handler can only set headers; tonic makes the trailers from the status. So a handler
//! leaves its trailers in the extensions of the response, and this module adds them to the last frame. A reply without them stays
//! unchanged.

use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::body::Body;

/// Trailers of a reply, as an extension of the response.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailers(pub(super) HeaderMap);

/// Adds the trailers in the response's extensions to its last frame.
pub(super) fn apply(mut response: Response<Body>) -> Response<Body> {
    let Some(Trailers(more)) = response.extensions_mut().remove() else {
        return response;
    };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                trailers.extend(more.clone());
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::HeaderValue;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn headers(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_static("0"),
        )])
    }

    fn reply() -> Response<Body> {
        let frames = [
            Frame::data(Bytes::from_static(b"m")),
            Frame::trailers(headers("grpc-status")),
        ];
        let frames = frames.map(Ok::<_, Infallible>);
        Response::new(Body::new(StreamBody::new(futures_util::stream::iter(
            frames,
        ))))
    }

    async fn trailers_of(response: Response<Body>) -> HeaderMap {
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        assert_eq!(collected.to_bytes(), "m");
        trailers
    }

    #[tokio::test]
    async fn trailers_are_added_to_those_of_the_status() {
        let mut response = reply();
        response
            .extensions_mut()
            .insert(Trailers(headers("x-more")));
        let trailers = trailers_of(apply(response)).await;
        assert_eq!(trailers.len(), 2);
        assert!(trailers.contains_key("grpc-status") && trailers.contains_key("x-more"));
    }

    #[tokio::test]
    async fn a_reply_without_trailers_stays_unchanged() {
        assert_eq!(trailers_of(apply(reply())).await, headers("grpc-status"));
        let plain = Response::new(Body::new(Full::new(Bytes::from_static(b"m"))));
        assert!(trailers_of(apply(plain)).await.is_empty());
    }
}
