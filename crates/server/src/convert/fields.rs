//! What is wrong with a request, collected field by field, and the rules that many fields share.

use std::fmt::Display;

use parlance_app::{Error, Reason, Result};
use parlance_domain::Violation;

use super::limits;

/// Everything that was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Violation>);

impl Found {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with a field.
    pub(crate) fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Notes what the domain found.
    pub(super) fn extend(&mut self, violations: impl IntoIterator<Item = Violation>) {
        self.0.extend(violations);
    }

    /// Notes what was found wrong with a part of the request, under the part's name.
    pub(super) fn nest(&mut self, part: &str, found: Self) {
        let named = |Violation { field, description }| {
            Violation::new(format!("{part}.{field}"), description)
        };
        self.0.extend(found.0.into_iter().map(named));
    }

    /// The value, or a note of what is wrong with it.
    pub(super) fn keep<T, E: Display>(
        &mut self,
        field: impl Into<String>,
        read: std::result::Result<T, E>,
    ) -> Option<T> {
        read.map_err(|wrong| self.push(field, wrong.to_string()))
            .ok()
    }

    /// A text that may be empty. Postgres holds no NUL, and what one database refuses the other must refuse, too.
    pub(super) fn text(&mut self, field: &str, text: &str, most: usize) {
        if text.contains('\0') {
            self.push(field, "the character U+0000 cannot be stored; remove it");
        }
        // Every character takes a byte or more, so most texts need not be counted.
        if text.len() > most && text.chars().count() > most {
            self.push(field, format!("at most {most} characters; shorten it"));
        }
    }

    /// A text that may not be empty.
    pub(super) fn required(&mut self, field: &str, text: &str, most: usize) {
        if text.is_empty() {
            self.push(field, "required; give it");
        }
        self.text(field, text, most);
    }

    /// A field that has no meaning beside what else the request says.
    pub(super) fn absent(&mut self, field: &str, is_absent: bool, why: &str) {
        if !is_absent {
            self.push(field, format!("{why}; leave it out"));
        }
    }

    /// An id in the form that we show.
    pub(super) fn id<T>(
        &mut self,
        field: impl Into<String>,
        text: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let id = parse(text);
        if id.is_none() {
            let wrong = if text.is_empty() {
                "required; give the id"
            } else {
                "not an id; give it as the service wrote it: 32 hexadecimal digits with hyphens"
            };
            self.push(field, wrong);
        }
        id
    }

    /// An etag; none if it is empty.
    pub(super) fn etag(&mut self, field: &str, etag: String) -> Option<String> {
        self.text(field, &etag, limits::ETAG);
        set(etag)
    }

    /// A number that counts from 0.
    pub(super) fn not_negative(&mut self, field: &str, number: i64) {
        if number < 0 {
            self.push(field, "must not be negative");
        }
    }

    /// What was read, unless something is wrong.
    ///
    /// `make` gets along with `?`: a value is missing only where its absence has been noted.
    pub(super) fn finish<T>(self, make: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.0.is_empty() {
            return Err(Error::invalid(self.0));
        }
        make().ok_or_else(|| {
            Error::new(Reason::Internal, "something went wrong on our side").caused_by(
                std::io::Error::other("a request was refused without a violation"),
            )
        })
    }
}

/// The text, if there is any: an unset text of the contract is an empty one.
pub(super) fn set(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_measured_in_characters_and_holds_no_nul() {
        let mut found = Found::new();
        found.text("fits", "äöü", 3);
        found.text("long", "äöüß", 3);
        found.text("nul", "a\0b", 3);
        let fields: Vec<_> = found.0.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["long", "nul"]);
    }

    #[test]
    fn everything_found_is_told_at_once() {
        let mut found = Found::new();
        found.required("provider", "", 5);
        found.not_negative("after_sequence", -1);
        let error = found.finish(|| Some(())).unwrap_err();
        assert_eq!(error.reason, Reason::InvalidRequest);
        assert_eq!(error.violations.len(), 2);
    }

    #[test]
    fn a_value_that_is_missing_without_a_word_is_our_fault() {
        let error = Found::new().finish(|| None::<()>).unwrap_err();
        assert_eq!(error.reason, Reason::Internal);
    }
}
