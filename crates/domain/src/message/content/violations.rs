//! Violations of the content rules.

use crate::Violation;
use crate::text::is_storable;

pub(super) const NUL: &str = "the character U+0000 cannot be stored; remove it";

/// Violations found so far.
pub(super) struct Violations(pub(super) Vec<Violation>);

impl Violations {
    pub(super) fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Rejects U+0000, which cannot be stored.
    pub(super) fn check_nul(&mut self, field: &str, text: &str) {
        if !is_storable(text) {
            self.push(field, NUL);
        }
    }

    pub(super) fn check_bytes(&mut self, field: &str, text: &str, most: usize) {
        if text.len() > most {
            self.push(field, format!("at most {most} bytes; shorten it"));
        }
    }

    pub(super) fn check_not_negative(&mut self, field: &str, number: Option<i64>) {
        if number.is_some_and(|number| number < 0) {
            self.push(field, "must not be negative");
        }
    }
}
