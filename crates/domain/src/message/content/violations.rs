//! Violations of the content rules.

use crate::Violation;

pub(super) const NUL: &str = "the character U+0000 cannot be stored; remove it";

/// Violations found so far.
pub(super) struct Violations(pub(super) Vec<Violation>);

impl Violations {
    pub(super) fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Rejects U+0000. Postgres cannot store it in a text; the rule applies to both databases, so that they accept the
    /// same messages.
    pub(super) fn check_nul(&mut self, field: &str, text: &str) {
        if text.contains('\0') {
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
