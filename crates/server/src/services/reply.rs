//! Replies to idempotent requests, and the size limit of replies.

use http::{HeaderMap, HeaderName, HeaderValue};
use parlance_app::{Error, Reason, Replayable, Result};
use tonic::Response;
use tonic::metadata::MetadataMap;

use super::trailers::Trailers;

/// Maximum size of a reply: the default limit of gRPC clients.
pub(super) const MAX_REPLY_BYTES: usize = 4 * 1_024 * 1_024;

/// Header and trailer of a reply that repeats the result of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Makes the reply of a request that may have been a repetition. The contract promises a trailer; the header is for clients that
/// cannot read trailers.
pub(super) fn replayable<T, P>(made: Replayable<T>, to_proto: impl FnOnce(T) -> P) -> Response<P> {
    let Replayable { value, replayed } = made;
    let mut response = Response::new(to_proto(value));
    if replayed {
        let marks = HeaderMap::from_iter([(REPLAYED, HeaderValue::from_static("true"))]);
        *response.metadata_mut() = MetadataMap::from_headers(marks.clone());
        response.extensions_mut().insert(Trailers(marks));
    }
    response
}

/// Refuses a batch reply that is too large. Lists need no check, since they return shorter pages.
pub(super) fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_REPLY_BYTES {
        return Err(Error::new(
            Reason::MessageTooLarge,
            "the reply would be larger than 4 MiB; request fewer messages at once",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_marked_in_headers_and_trailers() {
        let response = replayable(
            Replayable {
                value: (),
                replayed: true,
            },
            |()| (),
        );
        assert_eq!(
            response.metadata().get("idempotent-replayed").unwrap(),
            "true"
        );
        let Trailers(trailers) = response.extensions().get().unwrap();
        assert_eq!(trailers[REPLAYED], "true");
    }

    #[test]
    fn a_first_reply_is_not_marked() {
        let response = replayable(
            Replayable {
                value: (),
                replayed: false,
            },
            |()| (),
        );
        assert!(response.metadata().is_empty());
        assert!(response.extensions().get::<Trailers>().is_none());
    }

    #[test]
    fn a_too_large_reply_is_refused() {
        assert!(check_size(MAX_REPLY_BYTES).is_ok());
        let error = check_size(MAX_REPLY_BYTES + 1).unwrap_err();
        assert_eq!(error.reason, Reason::MessageTooLarge);
    }
}
