//! Violations of a request, collected field by field, and the rules that many fields share.

use std::fmt::Display;

use parlance_app::{Error, Reason, Result};
use parlance_domain::Violation;
use parlance_domain::text::{fits, is_storable};

use super::limits;

/// The violations recorded so far.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// An empty collection.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Records a violation of a field.
    pub(crate) fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Records violations that the domain reported.
    pub(super) fn extend(&mut self, violations: impl IntoIterator<Item = Violation>) {
        self.0.extend(violations);
    }

    /// Records the violations of a part of the request, with the part's name as a prefix of each field.
    pub(super) fn nest(&mut self, part: &str, nested: Self) {
        let named = |Violation { field, description }| {
            Violation::new(format!("{part}.{field}"), description)
        };
        self.0.extend(nested.0.into_iter().map(named));
    }

    /// Returns the value, or records the error as a violation of the field.
    pub(super) fn ok_or_record<T, E: Display>(
        &mut self,
        field: impl Into<String>,
        result: std::result::Result<T, E>,
    ) -> Option<T> {
        result
            .map_err(|error| self.push(field, error.to_string()))
            .ok()
    }

    /// Checks a text that may be empty.
    pub(super) fn text(&mut self, field: &str, text: &str, most: usize) {
        if !is_storable(text) {
            self.push(field, "the character U+0000 cannot be stored; remove it");
        }
        if !fits(text, most) {
            self.push(field, format!("at most {most} characters; shorten it"));
        }
    }

    /// Checks a text that must not be empty.
    pub(super) fn required(&mut self, field: &str, text: &str, most: usize) {
        if text.is_empty() {
            self.push(field, "required; must not be empty");
        }
        self.text(field, text, most);
    }

    /// Checks that a field is unset which has no meaning together with the rest of the request.
    pub(super) fn absent(&mut self, field: &str, is_absent: bool, why: &str) {
        if !is_absent {
            self.push(field, format!("{why}; leave it out"));
        }
    }

    /// Parses an id in the form in which the service returns it.
    pub(super) fn id<T>(
        &mut self,
        field: impl Into<String>,
        text: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let id = parse(text);
        if id.is_none() {
            let description = if text.is_empty() {
                "required; must not be empty"
            } else {
                "not a valid id; use it as the service returned it: 32 hexadecimal digits with hyphens"
            };
            self.push(field, description);
        }
        id
    }

    /// Checks an etag; `None` if it is empty.
    pub(super) fn etag(&mut self, field: &str, etag: String) -> Option<String> {
        self.text(field, &etag, limits::ETAG);
        non_empty(etag)
    }

    /// Checks a number that must be 0 or more.
    pub(super) fn not_negative(&mut self, field: &str, number: i64) {
        if number < 0 {
            self.push(field, "must not be negative");
        }
    }

    /// Returns the result of `make`, or an error with all recorded violations.
    ///
    /// `make` may use `?` on values that are missing: each missing value has a recorded violation, so `make` does not run
    /// then.
    pub(super) fn finish<T>(self, make: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.0.is_empty() {
            return Err(Error::invalid(self.0));
        }
        make().ok_or_else(|| {
            Error::new(Reason::Internal, "internal error of the service").caused_by(
                std::io::Error::other("a request was rejected without a recorded violation"),
            )
        })
    }
}

/// The text, or `None` if it is empty: an unset text of the contract is empty.
pub(super) fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_length_counts_characters_and_nul_is_rejected() {
        let mut violations = Violations::new();
        violations.text("fits", "äöü", 3);
        violations.text("long", "äöüß", 3);
        violations.text("nul", "a\0b", 3);
        let fields: Vec<_> = violations.0.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["long", "nul"]);
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let mut violations = Violations::new();
        violations.required("provider", "", 5);
        violations.not_negative("after_sequence", -1);
        let error = violations.finish(|| Some(())).unwrap_err();
        assert_eq!(error.reason, Reason::InvalidRequest);
        assert_eq!(error.violations.len(), 2);
    }

    #[test]
    fn a_missing_value_without_a_violation_is_an_internal_error() {
        let error = Violations::new().finish(|| None::<()>).unwrap_err();
        assert_eq!(error.reason, Reason::Internal);
    }
}
