//! The caller's name for a request, and a hash by which another request under the same name is noticed.

use parlance_app::RequestId;
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::fields::Found;
use super::limits;

/// Takes the id out of a request and hashes what is left; `None` if there is no id.
///
/// The encoding is canonical: fields come in the order of their numbers, and the members of a `Struct` sorted by name.
pub(super) fn take<M: Message>(
    found: &mut Found,
    request: &mut M,
    id: impl FnOnce(&mut M) -> &mut String,
) -> Option<RequestId> {
    let key = std::mem::take(id(request));
    if key.is_empty() {
        return None;
    }
    found.text("request_id", &key, limits::REQUEST_ID);
    if key.contains(|c: char| c.is_control() && c != '\0') {
        found.push(
            "request_id",
            "has a control character; use printable ones alone",
        );
    }
    let request_hash = Sha256::digest(request.encode_to_vec()).into();
    Some(RequestId { key, request_hash })
}

#[cfg(test)]
mod tests {
    use parlance_proto::v1::SendMessageRequest;
    use prost_types::value::Kind;
    use prost_types::{Struct, Value};

    use super::*;
    use crate::convert::testing::{fields_of, seen};

    fn read(found: &mut Found, mut request: SendMessageRequest) -> Option<RequestId> {
        take(found, &mut request, |request| &mut request.request_id)
    }

    fn named(request_id: &str, body: &str) -> SendMessageRequest {
        let member = |name: &str| {
            let kind = Some(Kind::NumberValue(1.0));
            (name.to_owned(), Value { kind })
        };
        SendMessageRequest {
            request_id: request_id.to_owned(),
            body: body.to_owned(),
            metadata: Some(Struct {
                fields: [member("b"), member("a")].into(),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn the_hash_is_of_everything_but_the_id() {
        let of = |request| seen(|found| read(found, request)).unwrap();
        let first = of(named("one", "x"));
        assert_eq!(first.key, "one");
        assert_eq!(first.request_hash, of(named("two", "x")).request_hash);
        assert_ne!(first.request_hash, of(named("one", "y")).request_hash);
        assert_eq!(seen(|found| read(found, named("", "x"))), None);
    }

    #[test]
    fn an_id_is_short_and_printable() {
        let longest = "x".repeat(limits::REQUEST_ID);
        assert!(fields_of(|found| _ = read(found, named(&longest, ""))).is_empty());
        for id in [&format!("{longest}x"), "a\nb", "a\0b"] {
            let fields = fields_of(|found| _ = read(found, named(id, "")));
            assert_eq!(fields, ["request_id"], "{id:?}");
        }
    }
}
