//! Headers of cached reads: the maximum staleness that the caller accepts, and the source and age of the reply.

use std::time::Duration;

use bytes::Bytes;
use parlance_app::cache::Source;
use parlance_app::{Answer, Error, Read, Result};
use parlance_domain::Owner;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response};

use super::encoded::Encoded;
use super::owner;

/// Request header: maximum age of a reply while the database is unavailable.
const MAX_STALENESS: &str = "x-parlance-max-staleness";
/// Response header: source of the reply.
const CACHE: &str = "x-parlance-cache";
/// Response header: maximum age of a stale reply.
const STALE: &str = "x-parlance-stale";
/// Maximum number of digits of a duration; a longer one is a mistake.
const MAX_DIGITS: usize = 9;

/// Splits a request into its owner, the maximum staleness that the caller accepts, and the message.
pub(super) fn split<T>(request: Request<T>) -> Result<(Owner, Option<Duration>, T)> {
    let max_staleness = max_staleness(request.metadata())?;
    let (owner, request) = owner::split(request)?;
    Ok((owner, max_staleness, request))
}

fn max_staleness(metadata: &MetadataMap) -> Result<Option<Duration>> {
    let mut given = metadata.get_all(MAX_STALENESS).iter();
    let Some(text) = given.next() else {
        return Ok(None);
    };
    let duration = text.to_str().ok().and_then(duration);
    // Two values are ambiguous and refused.
    match duration.filter(|_| given.next().is_none()) {
        Some(duration) => Ok(Some(duration)),
        None => Err(Error::invalid_field(
            MAX_STALENESS,
            "not a duration; give a whole number and the unit s or ms, such as 30s, or omit it",
        )),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, unit): (&str, fn(u64) -> Duration) = match text.strip_suffix("ms") {
        Some(digits) => (digits, Duration::from_millis),
        None => (text.strip_suffix('s')?, Duration::from_secs),
    };
    let is_number = (1..=MAX_DIGITS).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number).map(unit)
}

/// Makes the response of a read of one item or page, which the cache may have returned encoded.
pub(super) fn reply<T, P: Default>(
    read: Read<Answer<T>>,
    to_proto: impl FnOnce(T) -> P,
) -> Response<P> {
    let Read {
        value,
        source,
        stale,
    } = read;
    let mut response = match value {
        Answer::Value(value) => Response::new(to_proto(value)),
        Answer::Encoded(message) => with_encoded(message),
    };
    add_headers(response.metadata_mut(), source, stale);
    response
}

/// Makes the response of a read that is encoded as one message already.
pub(super) fn encoded<P: Default>(read: Read<Bytes>) -> Response<P> {
    let Read {
        value,
        source,
        stale,
    } = read;
    let mut response = with_encoded(value);
    add_headers(response.metadata_mut(), source, stale);
    response
}

fn with_encoded<P: Default>(message: Bytes) -> Response<P> {
    let mut response = Response::new(P::default());
    response.extensions_mut().insert(Encoded(message));
    response
}

fn add_headers(metadata: &mut MetadataMap, source: Source, stale: Option<Duration>) {
    metadata.insert(CACHE, MetadataValue::from_static(source.as_str()));
    let stale = stale.and_then(|age| {
        // A maximum, so it is rounded up.
        let seconds = age.as_secs() + u64::from(age.subsec_nanos() > 0);
        format!("{seconds}s").parse().ok()
    });
    if let Some(stale) = stale {
        metadata.insert(STALE, stale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&str]) -> Result<Option<Duration>> {
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append(MAX_STALENESS, value.parse().unwrap());
        }
        max_staleness(&metadata)
    }

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(given(&[]).unwrap(), None);
        for (text, millis) in [
            ("30s", 30_000),
            ("0s", 0),
            ("1500ms", 1_500),
            ("999999999s", 999_999_999_000),
        ] {
            let expected = Some(Duration::from_millis(millis));
            assert_eq!(given(&[text]).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused_with_its_remedy() {
        for values in [
            &[""][..],
            &["30"],
            &["s"],
            &["ms"],
            &["-1s"],
            &["+1s"],
            &["1.5s"],
            &["1 s"],
            &["1m"],
            &["1h"],
            &["1000000000s"],
            &["99999999999999999999s"],
            &["30s", "30s"],
        ] {
            let error = given(values).unwrap_err();
            assert_eq!(error.violations[0].field, MAX_STALENESS, "{values:?}");
            assert!(error.message.contains("30s"));
        }
    }

    #[test]
    fn a_reply_names_its_source_and_its_maximum_age() {
        let headers = |stale| {
            let read = Read {
                value: Bytes::new(),
                source: Source::Redis,
                stale,
            };
            let response: Response<()> = encoded(read);
            let text = |name| {
                let value = response.metadata().get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            };
            (text(CACHE), text(STALE))
        };
        let redis = Some("redis".to_owned());
        assert_eq!(headers(None), (redis.clone(), None));
        for (millis, expected) in [(0, "0s"), (1, "1s"), (1_000, "1s"), (1_001, "2s")] {
            let expected = (redis.clone(), Some(expected.to_owned()));
            assert_eq!(headers(Some(Duration::from_millis(millis))), expected);
        }
    }
}
