//! Fields of a message that share one JSON column.

use parlance_domain::{DeliveryPolicy, Role};
use serde::{Deserialize, Serialize};

use crate::fields::Doc;

/// Fields of a message that no statement filters, sorts, sums or updates: the content of the column `other_fields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherFields {
    pub(crate) role: Option<Role>,
    pub(crate) latency_ms: Option<i64>,
    pub(crate) policy: DeliveryPolicy,
    pub(crate) quoted_body: String,
}

/// The values of missing fields.
impl Default for OtherFields {
    fn default() -> Self {
        Self {
            role: None,
            latency_ms: None,
            policy: DeliveryPolicy::AtLeastOnce,
            quoted_body: String::new(),
        }
    }
}

/// The fields as the column stores them; one that has its default is left out.
#[derive(Serialize, Deserialize)]
struct OtherFieldsDoc {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quoted_body: Option<String>,
}

impl OtherFields {
    pub(crate) fn to_doc(&self) -> Doc {
        let default = Self::default();
        // Most messages: skips the serializer.
        if *self == default {
            return Doc("{}".to_owned());
        }
        let Self {
            role,
            latency_ms,
            policy,
            quoted_body,
        } = self;
        Doc::of(&OtherFieldsDoc {
            role: role.map(|role| role.as_str().to_owned()),
            latency_ms: *latency_ms,
            policy: (*policy != default.policy).then(|| policy.as_str().to_owned()),
            quoted_body: (!quoted_body.is_empty()).then(|| quoted_body.clone()),
        })
    }

    /// Parses the column; `None` if a field is invalid. A missing field has its default, and an unknown one is ignored:
    /// a newer instance may have written it.
    pub(crate) fn parse(doc: &Doc) -> Option<Self> {
        let default = Self::default();
        if doc.0 == "{}" {
            return Some(default);
        }
        let OtherFieldsDoc {
            role,
            latency_ms,
            policy,
            quoted_body,
        } = serde_json::from_str(&doc.0).ok()?;
        Some(Self {
            role: match role {
                Some(word) => Some(Role::parse(&word)?),
                None => default.role,
            },
            latency_ms,
            policy: match policy {
                Some(word) => DeliveryPolicy::parse(&word)?,
                None => default.policy,
            },
            quoted_body: quoted_body.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<OtherFields> {
        OtherFields::parse(&Doc(text.to_owned()))
    }

    #[test]
    fn a_field_that_has_its_default_is_left_out() {
        let other = OtherFields::default();
        assert_eq!(other.to_doc().0, "{}");
        let other = OtherFields {
            role: Some(Role::User),
            ..other
        };
        assert_eq!(other.to_doc().0, r#"{"role":"user"}"#);
        let other = OtherFields {
            role: Some(Role::System),
            latency_ms: Some(0),
            policy: DeliveryPolicy::AtMostOnce,
            quoted_body: "> hi".to_owned(),
        };
        let text =
            r#"{"role":"system","latency_ms":0,"policy":"at_most_once","quoted_body":"> hi"}"#;
        assert_eq!(other.to_doc().0, text);
        assert_eq!(parsed(text), Some(other));
    }

    #[test]
    fn a_missing_field_has_its_default_and_an_unknown_one_is_ignored() {
        for text in [
            "{}",
            "{ }",
            r#"{"role": null, "latency_ms": null, "policy": null, "quoted_body": null}"#,
            r#"{"later": {"policy": ["at_most_once"]}}"#,
        ] {
            assert_eq!(parsed(text), Some(OtherFields::default()), "{text}");
        }
        let some = parsed(r#"{"later": 1, "latency_ms": -9223372036854775808}"#);
        let expected = OtherFields {
            latency_ms: Some(i64::MIN),
            ..OtherFields::default()
        };
        assert_eq!(some, Some(expected));
    }

    #[test]
    fn an_invalid_field_is_refused() {
        for text in [
            r#"{"role": "later"}"#,
            r#"{"role": 1}"#,
            r#"{"latency_ms": "1"}"#,
            r#"{"latency_ms": 9223372036854775808}"#,
            r#"{"policy": "later"}"#,
            r#"{"policy": ""}"#,
            r#"{"quoted_body": 1}"#,
            "[]",
            "null",
            "",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
