//! The GSM 03.38 default alphabet and its extension.

/// Basic table in the order of the standard, without the escape at 0x1B. It has a capital C with cedilla and no small
/// one.
const BASIC: &str = concat!(
    "@£$¥èéùìòÇ\nØø\rÅå",
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ",
    " !\"#¤%&'()*+,-./",
    "0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNO",
    "PQRSTUVWXYZÄÖÑÜ§",
    "¿abcdefghijklmno",
    "pqrstuvwxyzäöñüà",
);

/// Characters that need the escape and therefore take two septets.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Returns the number of septets of a character; `None` if the alphabet does not have it.
pub(super) fn septets(c: char) -> Option<usize> {
    // Fast path: most characters of a text need no table search.
    if c.is_ascii_alphanumeric() || c == ' ' || BASIC.contains(c) {
        Some(1)
    } else if EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_are_complete_and_disjoint() {
        let basic: BTreeSet<char> = BASIC.chars().collect();
        let extension: BTreeSet<char> = EXTENSION.chars().collect();
        assert_eq!((BASIC.chars().count(), basic.len()), (127, 127));
        assert_eq!((EXTENSION.chars().count(), extension.len()), (10, 10));
        assert!(basic.is_disjoint(&extension));
    }

    #[test]
    fn similar_characters_are_not_in_the_alphabet() {
        for c in [
            'ç', '`', '\u{2019}', '\u{201c}', '\u{2026}', '\u{2013}', '\u{a0}', '\t', '\0',
            '\u{1b}', 'á',
        ] {
            assert_eq!(septets(c), None, "{c:?}");
        }
        for c in ['Ç', 'à', '\n', '\r', '_', '¤', 'Ξ'] {
            assert_eq!(septets(c), Some(1), "{c:?}");
        }
        for c in ['€', '[', '~', '\\', '\u{c}'] {
            assert_eq!(septets(c), Some(2), "{c:?}");
        }
    }
}
