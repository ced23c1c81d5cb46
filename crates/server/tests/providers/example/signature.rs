//! Signature of the provider's requests: a hash of a secret, the URL and the body.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

const SECRET: &str = "secret of the example";
/// Name of the header.
pub(super) const HEADER: &str = "x-example-signature";

/// Returns the header of a request.
pub(crate) fn signed(url: &str, body: &str) -> (&'static str, String) {
    (HEADER, signature(url, body.as_bytes()))
}

pub(super) fn signature(url: &str, body: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(SECRET)
        .chain_update(url)
        .chain_update(body);
    let mut text = String::new();
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
