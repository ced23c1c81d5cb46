//! Trailers of a successful reply. A handler can give headers alone: what follows the message is made by tonic, of the status.
//! So a handler leaves its trailers beside the reply, and this puts them into the last frame. A reply without any passes
//! untouched.

use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::body::Body;

/// What a handler wants to follow its reply, as an extension of the response.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailers(pub(super) HeaderMap);

/// Puts them there.
pub(super) fn put(mut response: Response<Body>) -> Response<Body> {
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
    async fn they_join_those_of_the_status() {
        let mut response = reply();
        response
            .extensions_mut()
            .insert(Trailers(headers("x-more")));
        let trailers = trailers_of(put(response)).await;
        assert_eq!(trailers.len(), 2);
        assert!(trailers.contains_key("grpc-status") && trailers.contains_key("x-more"));
    }

    #[tokio::test]
    async fn without_any_nothing_changes() {
        assert_eq!(trailers_of(put(reply())).await, headers("grpc-status"));
        let plain = Response::new(Body::new(Full::new(Bytes::from_static(b"m"))));
        assert!(trailers_of(put(plain)).await.is_empty());
    }
}
