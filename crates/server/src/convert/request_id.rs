//! The caller's id of a request, and a hash that detects a different request with the same id.

use parlance_app::RequestId;
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::fields::Violations;
use super::limits;

/// Takes the id out of a request and hashes the rest; `None` if there is no id.
///
/// The encoding is canonical: fields are ordered by number, and the members of a `Struct` by name.
pub(super) fn take<M: Message>(
    violations: &mut Violations,
    request: &mut M,
    id: impl FnOnce(&mut M) -> &mut String,
) -> Option<RequestId> {
    let key = std::mem::take(id(request));
    if key.is_empty() {
        return None;
    }
    violations.text("request_id", &key, limits::REQUEST_ID);
    if key.contains(|c: char| c.is_control() && c != '\0') {
        violations.push(
            "request_id",
            "contains a control character; use printable characters only",
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
    use crate::convert::testing::{accepted, violated_fields};

    fn read(violations: &mut Violations, mut request: SendMessageRequest) -> Option<RequestId> {
        take(violations, &mut request, |request| &mut request.request_id)
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
    fn the_hash_covers_everything_but_the_id() {
        let of = |request| accepted(|violations| read(violations, request)).unwrap();
        let first = of(named("one", "x"));
        assert_eq!(first.key, "one");
        assert_eq!(first.request_hash, of(named("two", "x")).request_hash);
        assert_ne!(first.request_hash, of(named("one", "y")).request_hash);
        assert_eq!(
            accepted(|violations| read(violations, named("", "x"))),
            None
        );
    }

    #[test]
    fn an_id_is_short_and_printable() {
        let longest = "x".repeat(limits::REQUEST_ID);
        assert!(violated_fields(|violations| _ = read(violations, named(&longest, ""))).is_empty());
        for id in [&format!("{longest}x"), "a\nb", "a\0b"] {
            let fields = violated_fields(|violations| _ = read(violations, named(id, "")));
            assert_eq!(fields, ["request_id"], "{id:?}");
        }
    }
}
