//! Signatures: the provider's published vectors, rotation, and what is refused.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::*;
use crate::WebhookRequest;
use crate::twilio::form::Form;
use crate::twilio::signature::{SignatureError, Verifier};

/// The auth token of the published vectors.
const VECTOR_TOKEN: &str = "12345";
const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const CALL: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
const JSON: &str = r#"{"property": "value", "boolean": true}"#;
const JSON_HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
const FORM: &str = "application/x-www-form-urlencoded";
/// Signature of the URL and the call.
const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

fn with_tokens(tokens: &[&str]) -> Account {
    let secret = |token: &&str| Secret::from((*token).to_owned());
    Account {
        auth_tokens: tokens.iter().map(secret).collect(),
        ..account("http://127.0.0.1:1")
    }
}

fn request(url: &str, content_type: &'static str, body: &str, signature: &str) -> WebhookRequest {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let signature = HeaderValue::from_str(signature).unwrap();
    headers.insert("x-twilio-signature", signature);
    let query = url.split_once('?').map(|(_, query)| query);
    WebhookRequest {
        path: "inbound".to_owned(),
        query: query.unwrap_or_default().to_owned(),
        url: url.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn verify(accounts: Vec<Account>, request: &WebhookRequest) -> Result<Vec<String>, SignatureError> {
    let form = Form::parse(&request.headers, &request.body).unwrap();
    Verifier::new(&Accounts::new(accounts)).verify(request, &form)
}

fn verify_vector(request: &WebhookRequest) -> Result<Vec<String>, SignatureError> {
    verify(vec![with_tokens(&[VECTOR_TOKEN])], request)
}

#[test]
fn the_published_vectors_are_verified() {
    let json_url = format!("{URL}&bodySHA256={JSON_HASH}");
    for (url, content_type, body, signature) in [
        (URL, FORM, CALL, SIGNATURE),
        // Signed with the port, and called without it in the configuration; and the reverse.
        (URL, FORM, CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (
            "https://mycompany.com:443/myapp.php?foo=1&bar=2",
            FORM,
            CALL,
            SIGNATURE,
        ),
        (
            "http://mycompany.com/myapp.php?foo=1&bar=2",
            FORM,
            CALL,
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
        ),
        // A repeated parameter.
        (
            URL,
            FORM,
            "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        ),
        (
            &json_url,
            "application/json",
            JSON,
            "a9nBmqA0ju/hNViExpshrM61xv4=",
        ),
    ] {
        let request = request(url, content_type, body, signature);
        assert!(verify_vector(&request).is_ok(), "{url} {signature}");
    }
}

#[test]
fn the_order_of_the_body_does_not_matter_and_that_of_the_query_does() {
    let reordered = CALL.split('&').rev().collect::<Vec<_>>().join("&");
    assert!(verify_vector(&request(URL, FORM, &reordered, SIGNATURE)).is_ok());
    for url in [
        "https://mycompany.com/myapp.php?bar=2&foo=1",
        "https://mycompany.com/myapp.php",
        "https://mycompany.com/other.php?foo=1&bar=2",
        "https://other.com/myapp.php?foo=1&bar=2",
        "http://mycompany.com/myapp.php?foo=1&bar=2",
        "https://mycompany.com:8443/myapp.php?foo=1",
    ] {
        let result = verify_vector(&request(url, FORM, CALL, SIGNATURE));
        assert_eq!(result, Err(SignatureError::Mismatch), "{url}");
    }
}

#[test]
fn a_changed_body_is_refused() {
    for body in [
        CALL.replace("1234&", "1235&"),
        format!("{CALL}&Extra="),
        format!("{CALL}&To=%2B1"),
        CALL.replace("&To=%2B18005551212", ""),
        String::new(),
    ] {
        let result = verify_vector(&request(URL, FORM, &body, SIGNATURE));
        assert_eq!(result, Err(SignatureError::Mismatch), "{body}");
    }
    let url = format!("{URL}&bodySHA256={JSON_HASH}");
    let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
    let changed = JSON.replace("true", "false");
    let result = verify_vector(&request(&url, "application/json", &changed, signature));
    assert_eq!(result, Err(SignatureError::Body));
    // Without the hash the body is not covered.
    let result = verify_vector(&request(URL, "application/json", JSON, SIGNATURE));
    assert_eq!(result, Err(SignatureError::Body));
}

#[test]
fn a_missing_or_unreadable_signature_is_refused() {
    for signature in ["", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "!"] {
        let request = request(URL, FORM, CALL, signature);
        assert!(verify_vector(&request).is_err(), "{signature}");
    }
    let mut request = request(URL, FORM, CALL, SIGNATURE);
    request.headers.remove("x-twilio-signature");
    assert_eq!(verify_vector(&request), Err(SignatureError::Missing));
}

#[test]
fn both_tokens_are_valid_during_a_rotation() {
    let request = request(URL, FORM, CALL, SIGNATURE);
    for (tokens, is_valid) in [
        (&["new", VECTOR_TOKEN][..], true),
        (&[VECTOR_TOKEN, "old"][..], true),
        (&["new"][..], false),
        (&[][..], false),
    ] {
        let result = verify(vec![with_tokens(tokens)], &request);
        assert_eq!(result.is_ok(), is_valid, "{tokens:?}");
    }
}

/// HMAC with SHA-256 of the same text, with the key `shared secret`; computed with Python's `hmac`.
const SHARED_SIGNATURE: &str = "Tr3AlkzD0SLwaHdo8YFqzSt/R6MkTg7dDiIFijetPeE=";

fn with_shared_key(settings: &'static str) -> WebhookRequest {
    let mut request = request(URL, FORM, CALL, SHARED_SIGNATURE);
    request.headers.insert(
        "x-twilio-webhooks-signature-settings",
        HeaderValue::from_static(settings),
    );
    request
}

#[test]
fn a_shared_key_is_chosen_by_its_name() {
    let key = |name: &str, secret: &str| SharedKey {
        name: name.to_owned(),
        secret: Secret::from(secret.to_owned()),
    };
    let account = || Account {
        shared_keys: vec![key("old", "other secret"), key("main", "shared secret")],
        ..with_tokens(&[VECTOR_TOKEN])
    };
    for (settings, expected) in [
        ("key=main,algorithm=HMAC_SHA256", None),
        ("algorithm=HMAC_SHA256, key=main", None),
        (
            "key=old,algorithm=HMAC_SHA256",
            Some(SignatureError::Mismatch),
        ),
        (
            "key=none,algorithm=HMAC_SHA256",
            Some(SignatureError::Mismatch),
        ),
        (
            "key=main,algorithm=HMAC_SHA1",
            Some(SignatureError::Settings),
        ),
        ("key=main", Some(SignatureError::Settings)),
        ("", Some(SignatureError::Settings)),
    ] {
        let result = verify(vec![account()], &with_shared_key(settings));
        assert_eq!(result.err(), expected, "{settings}");
    }
    // The form of the signature is that of its header: neither is accepted for the other.
    let mut with_token = request(URL, FORM, CALL, SIGNATURE);
    with_token.headers.insert(
        "x-twilio-webhooks-signature-settings",
        HeaderValue::from_static("key=main,algorithm=HMAC_SHA256"),
    );
    for other in [with_token, request(URL, FORM, CALL, SHARED_SIGNATURE)] {
        let result = verify(vec![account()], &other);
        assert_eq!(result, Err(SignatureError::Mismatch));
    }
}

/// `AccountSid=ACtest` with the token of the vectors.
const ACCOUNT_SIGNATURE: &str = "Z8SEUkroOHX0K+rkEfZvCrTodks=";

#[test]
fn a_request_is_that_of_the_account_which_signed_it() {
    let other = Account {
        name: "other".to_owned(),
        account_sid: "ACother".to_owned(),
        ..with_tokens(&[VECTOR_TOKEN])
    };
    let own = |name: &str, token: &str| Account {
        name: name.to_owned(),
        ..with_tokens(&[token])
    };
    let signed = request(URL, FORM, "AccountSid=ACtest", ACCOUNT_SIGNATURE);
    // Another account cannot sign for this one, although its token is configured.
    let accounts = vec![other.clone(), own(NAME, "token")];
    assert_eq!(verify(accounts, &signed), Err(SignatureError::Mismatch));
    let accounts = vec![other.clone(), own(NAME, VECTOR_TOKEN)];
    let names = ["twilio", ""].map(str::to_owned);
    assert_eq!(verify(accounts, &signed), Ok(names.to_vec()));
    // Two names of one account.
    let accounts = vec![
        own("a", VECTOR_TOKEN),
        own("b", VECTOR_TOKEN),
        other.clone(),
    ];
    let names = ["a", "b"].map(str::to_owned);
    assert_eq!(verify(accounts, &signed), Ok(names.to_vec()));
    // A subaccount, whose token is configured under the SID of another account.
    let names = ["other", ""].map(str::to_owned);
    assert_eq!(verify(vec![other], &signed), Ok(names.to_vec()));
}
