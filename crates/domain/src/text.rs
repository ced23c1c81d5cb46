//! Rules for every short text that is stored: which characters it may have, and how long it may be.

/// Whether a text can be stored. Postgres cannot store U+0000; the rule applies to both databases.
#[must_use]
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// Whether a text has at most `most` characters.
#[must_use]
pub fn fits(text: &str, most: usize) -> bool {
    // A character takes at least one byte, so most texts need not be counted.
    text.len() <= most || text.chars().count() <= most
}

/// Returns the first `most` characters of a text, without U+0000.
#[must_use]
pub fn clipped(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_characters() {
        assert!(fits("äöü", 3) && fits("", 0));
        assert!(!fits("äöüß", 3) && !fits("x", 0));
    }

    #[test]
    fn a_clipped_text_can_be_stored_and_fits() {
        assert!(is_storable("a b") && !is_storable("a\0b"));
        for (text, expected) in [
            ("", ""),
            ("äöü", "äöü"),
            ("äöüß", "äöü"),
            ("\0a\0bcd", "abc"),
        ] {
            let found = clipped(text, 3);
            assert_eq!(found, expected);
            assert!(is_storable(&found) && fits(&found, 3));
        }
    }
}
