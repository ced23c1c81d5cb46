//! Signature of webhooks: HMAC-SHA1 over the URL and the sorted parameters.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac::{Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};

/// Returns the value of `X-Twilio-Signature` for a form that is posted to a URL without a fragment.
#[must_use]
pub fn signature(token: &str, url: &str, parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = parameters.iter().collect();
    // Values of a repeated name count once each, in order.
    sorted.sort();
    sorted.dedup();
    let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let mut context = Context::with_key(&key);
    context.update(url.as_bytes());
    for (name, value) in sorted {
        context.update(name.as_bytes());
        context.update(value.as_bytes());
    }
    BASE64_STANDARD.encode(context.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(url: &str, parameters: &[(&str, &str)]) -> String {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let parameters: Vec<_> = parameters.iter().map(owned).collect();
        signature("12345", url, &parameters)
    }

    #[test]
    fn the_published_vectors_are_reproduced() {
        let parameters = [
            ("To", "+18005551212"),
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
        ];
        for (origin, expected) in [
            ("https://mycompany.com", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            ("https://mycompany.com:443", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ] {
            let url = format!("{origin}/myapp.php?foo=1&bar=2");
            assert_eq!(signed(&url, &parameters), expected);
        }
        let repeated = [
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
        ];
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signed(url, &repeated), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
    }
}
