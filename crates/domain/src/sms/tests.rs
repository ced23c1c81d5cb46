//! Tests of segment limits and of the properties of splitting.

use proptest::prelude::*;

use super::Encoding::{Gsm7, Ucs2};
use super::*;

fn measured(text: &str) -> (Encoding, i32, usize) {
    let Measure {
        encoding,
        segments,
        units,
    } = measure(text);
    (encoding, segments, units)
}

#[test]
fn segment_limits() {
    let cases = [
        (String::new(), (Gsm7, 0, 0)),
        ("a".to_owned(), (Gsm7, 1, 1)),
        ("a".repeat(160), (Gsm7, 1, 160)),
        ("a".repeat(161), (Gsm7, 2, 161)),
        ("a".repeat(306), (Gsm7, 2, 306)),
        ("a".repeat(307), (Gsm7, 3, 307)),
        ("€".repeat(80), (Gsm7, 1, 160)),
        ("€".repeat(81), (Gsm7, 2, 162)),
        ("ш".repeat(70), (Ucs2, 1, 70)),
        ("ш".repeat(71), (Ucs2, 2, 71)),
        ("ш".repeat(134), (Ucs2, 2, 134)),
        ("ш".repeat(135), (Ucs2, 3, 135)),
        ("😀".repeat(35), (Ucs2, 1, 70)),
        ("😀".repeat(36), (Ucs2, 2, 72)),
        // 67 is odd, so one unit of every segment stays empty.
        ("😀".repeat(67), (Ucs2, 3, 134)),
        (format!("{}ç", "a".repeat(69)), (Ucs2, 1, 70)),
        (format!("{}ç", "a".repeat(160)), (Ucs2, 3, 161)),
    ];
    for (text, expected) in cases {
        assert_eq!(measured(&text), expected, "{text}");
    }
}

#[test]
fn a_pair_that_does_not_fit_goes_to_the_next_segment() {
    let text = format!("{}€{}", "a".repeat(152), "b".repeat(151));
    assert_eq!(measured(&text), (Gsm7, 2, 305));
    let parts = split(&text);
    assert_eq!(parts, ["a".repeat(152), format!("€{}", "b".repeat(151))]);
    // The empty end of the first segment makes a third necessary, although 306 septets would fit into two.
    assert_eq!(measured(&format!("{text}b")), (Gsm7, 3, 306));

    let text = format!("{}😀{}", "ш".repeat(66), "ш".repeat(3));
    assert_eq!(
        split(&text),
        ["ш".repeat(66), format!("😀{}", "ш".repeat(3))]
    );
}

fn any_text() -> impl Strategy<Value = String> {
    let gsm7 = "[a-zA-Z0-9 €{}~\\^Ωç]{0,400}";
    let mixed = "[a-d€шç😀\u{1b}]{0,200}";
    prop_oneof![
        gsm7.prop_map(|text| text.replace('ç', "")),
        Just(String::new()),
        mixed,
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn parts_are_the_text_and_fit_and_are_as_many_as_measured(text in any_text()) {
        let Measure { encoding, segments, units } = measure(&text);
        let parts = split(&text);
        prop_assert_eq!(parts.concat(), text.clone());
        prop_assert_eq!(i32::try_from(parts.len()), Ok(segments));
        let size = |part: &str| match encoding {
            Gsm7 => part.chars().map(|c| if "\u{c}^{}\\[~]|€".contains(c) { 2 } else { 1 }).sum(),
            Ucs2 => part.encode_utf16().count(),
        };
        prop_assert_eq!(size(&text), units);
        let room = match (encoding, parts.len()) {
            (Gsm7, 0 | 1) => 160,
            (Gsm7, _) => 153,
            (Ucs2, 0 | 1) => 70,
            (Ucs2, _) => 67,
        };
        for (i, part) in parts.iter().enumerate() {
            prop_assert!(!part.is_empty() && size(part) <= room);
            // No part is shorter than necessary.
            if i + 1 < parts.len() {
                prop_assert!(size(part) >= room - 1);
            }
        }
    }
}
