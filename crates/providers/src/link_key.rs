//! Key that signs the URLs of stored attachments.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::Secret;

/// What the key is derived for: the secret itself signs other texts.
const PURPOSE: &[u8] = b"parlance attachment link, version 1";

/// Key that signs the URLs of stored attachments. All instances derive it from the same secret of their configuration, so
/// each can serve the URLs of the others.
#[derive(Clone)]
pub struct LinkKey(hmac::Key);

impl LinkKey {
    /// Derives the key. The secret cannot be found from the key or from what it signs.
    #[must_use]
    pub fn derive(secret: &Secret) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let derived = hmac::sign(&secret, PURPOSE);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// Returns a token with the text and its signature, which can be part of a URL.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let tag = hmac::sign(&self.0, text.as_bytes());
        let (text, tag) = (URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(tag));
        format!("{text}.{tag}")
    }

    /// Returns the text of a token, if this key has signed it.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<String> {
        let (text, tag) = token.split_once('.')?;
        let text = URL_SAFE_NO_PAD.decode(text).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, &text, &tag).ok()?;
        String::from_utf8(text).ok()
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> LinkKey {
        LinkKey::derive(&Secret::from(secret.to_owned()))
    }

    #[test]
    fn a_token_is_verified_by_the_same_secret_only() {
        let token = key("a").sign("text");
        assert_eq!(key("a").verify(&token).as_deref(), Some("text"));
        assert_eq!(key("b").verify(&token), None);
        let (text, tag) = token.split_once('.').unwrap();
        let other = key("a").sign("other");
        let (other, _) = other.split_once('.').unwrap();
        for changed in [
            format!("{other}.{tag}"),
            format!("{text}."),
            format!("{text}.{text}"),
            text.to_owned(),
            String::new(),
        ] {
            assert_eq!(key("a").verify(&changed), None, "{changed}");
        }
    }
}
