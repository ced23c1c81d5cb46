//! Parameters of a webhook: those of a form, or of a flat JSON object.

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

/// Maximum number of parameters; the provider sends about 30, and two for each attachment.
const MAX_PARAMETERS: usize = 500;

/// Decoded body of a webhook.
pub(super) enum Form {
    /// A form. The signature covers its parameters.
    Urlencoded(Parameters),
    /// Any other body. The signature covers its hash in the URL. The parameters are those of a JSON object.
    Other(Parameters),
}

/// Decoded parameters, in the order of the body.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Form {
    /// Decodes a body; `None` if it has too many parameters.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        match content_type(headers) {
            "application/x-www-form-urlencoded" => urlencoded(body).map(Self::Urlencoded),
            "" if body.is_empty() => Some(Self::Urlencoded(Parameters::default())),
            "application/json" => json(body).map(Self::Other),
            _ => Some(Self::Other(Parameters::default())),
        }
    }

    pub(super) const fn parameters(&self) -> &Parameters {
        match self {
            Self::Urlencoded(parameters) | Self::Other(parameters) => parameters,
        }
    }
}

/// The type of the body without its parameters; empty if there is none.
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let value = value.and_then(Result::ok).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn urlencoded(body: &[u8]) -> Option<Parameters> {
    let parameters: Vec<(String, String)> = form_urlencoded::parse(body)
        .take(MAX_PARAMETERS + 1)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    (parameters.len() <= MAX_PARAMETERS).then_some(Parameters(parameters))
}

/// Texts, numbers and truth values of an object; a body that is none has no parameters.
fn json(body: &[u8]) -> Option<Parameters> {
    let object: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    if object.len() > MAX_PARAMETERS {
        return None;
    }
    let scalar = |(name, value): (String, Value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        Value::Bool(yes) => Some((name, yes.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    Some(Parameters(object.into_iter().filter_map(scalar).collect()))
}

impl Parameters {
    /// Returns the first value of a parameter; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The parameters in the form in which they are signed: sorted by name, and the different values of a repeated name
    /// sorted as well.
    pub(super) fn signed(&self) -> String {
        let mut sorted: Vec<&(String, String)> = self.0.iter().collect();
        sorted.sort();
        sorted.dedup();
        let mut text = String::new();
        for (name, value) in sorted {
            text.push_str(name);
            text.push_str(value);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers
    }

    #[test]
    fn a_form_is_decoded_and_blank_values_stay() {
        let headers = headers("application/x-www-form-urlencoded; charset=utf-8");
        let form = Form::parse(&headers, b"Body=a+b%26c&Empty=&To=%2B1").unwrap();
        let parameters = form.parameters();
        assert!(matches!(form, Form::Urlencoded(_)));
        assert_eq!(
            (parameters.get("Body"), parameters.get("To")),
            ("a b&c", "+1")
        );
        assert_eq!(parameters.signed(), "Bodya b&cEmptyTo+1");
        assert_eq!(parameters.get("None"), "");
    }

    #[test]
    fn a_json_object_has_its_scalars() {
        let body = br#"{"MessageSid":"SM1","NumMedia":0,"Flag":true,"Other":{"a":1}}"#;
        let form = Form::parse(&headers("application/json"), body).unwrap();
        let parameters = form.parameters();
        assert!(matches!(form, Form::Other(_)));
        let values = ["MessageSid", "NumMedia", "Flag", "Other"].map(|name| parameters.get(name));
        assert_eq!(values, ["SM1", "0", "true", ""]);
        let none = Form::parse(&headers("application/json"), b"[").unwrap();
        assert_eq!(none.parameters().get("MessageSid"), "");
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let body = "a=1&".repeat(MAX_PARAMETERS + 1);
        let headers = headers("application/x-www-form-urlencoded");
        assert!(Form::parse(&headers, body.as_bytes()).is_none());
        assert!(Form::parse(&headers, &body.as_bytes()[4..]).is_some());
    }
}
