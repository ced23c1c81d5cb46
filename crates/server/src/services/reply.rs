//! Replies that say more than their message.

use http::{HeaderMap, HeaderName, HeaderValue};
use parlance_app::{Error, Reason, Replayable, Result};
use tonic::Response;
use tonic::metadata::MetadataMap;

use super::MAX_REPLY_BYTES;
use super::trailers::Trailers;

/// Says that an earlier request made what this one returns.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What was made now or before. The contract promises a trailer; the header beside it serves those who see no trailers.
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

/// A reply may have become too large: a list is cut, a batch was asked for as a whole.
pub(super) fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_REPLY_BYTES {
        return Err(Error::new(
            Reason::MessageTooLarge,
            "the reply would be larger than 4 MiB; ask for fewer at once",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_marked_before_and_after_the_message() {
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
    fn what_was_made_now_is_not_marked() {
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
    fn a_reply_fits_or_is_refused() {
        assert!(check_size(MAX_REPLY_BYTES).is_ok());
        let error = check_size(MAX_REPLY_BYTES + 1).unwrap_err();
        assert_eq!(error.reason, Reason::MessageTooLarge);
    }
}
