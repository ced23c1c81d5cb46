//! SMS encoding and segmentation.
//!
//! A single segment holds 160 septets or 70 UTF-16 units. Each segment of a longer text holds 153 or 67, because the
//! concatenation header takes space. One character outside GSM-7 changes the encoding of the whole text to UCS-2.

mod gsm7;
#[cfg(test)]
mod tests;

use crate::text_enum::text_enum;

text_enum! {
    /// Character encoding of a text message.
    pub enum Encoding {
        /// GSM 03.38 alphabet: one septet per character, two per character of its extension table.
        Gsm7 = "gsm7",
        /// UTF-16: one unit per character, two per character outside the basic plane, such as an emoji.
        Ucs2 = "ucs2",
    }
}

impl Encoding {
    /// Returns the encoding that a text needs.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.chars().all(|c| gsm7::septets(c).is_some()) {
            Self::Gsm7
        } else {
            Self::Ucs2
        }
    }

    /// Units in a message of one segment.
    #[must_use]
    pub const fn units_alone(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units in each segment of a longer message.
    #[must_use]
    pub const fn units_joined(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// Units of a character. Both halves of an escape sequence or a surrogate pair belong to one `char`, so cutting
    /// between characters never splits a pair.
    fn units(self, c: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::septets(c).unwrap_or(0),
            Self::Ucs2 => c.len_utf16(),
        }
    }
}

/// Size of a text in SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Encoding.
    pub encoding: Encoding,
    /// Number of segments; 0 for an empty text.
    pub segments: i32,
    /// Septets or UTF-16 units of the text, without headers.
    pub units: usize,
}

/// Measures a text. There may be more segments than the units divided by 153 or 67: a pair that does not fit the end of
/// a segment moves to the next one and leaves that end empty.
#[must_use]
pub fn measure(text: &str) -> Measure {
    let encoding = Encoding::of(text);
    let units = text.chars().map(|c| encoding.units(c)).sum();
    let segments = i32::try_from(cuts(text, encoding, units).count()).unwrap_or(i32::MAX);
    Measure {
        encoding,
        segments,
        units,
    }
}

/// Splits a text into the content of its segments; empty for an empty text.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    let encoding = Encoding::of(text);
    let units = text.chars().map(|c| encoding.units(c)).sum();
    cuts(text, encoding, units).collect()
}

/// Returns the parts, each as long as possible.
fn cuts(text: &str, encoding: Encoding, units: usize) -> impl Iterator<Item = &str> {
    let room = if units <= encoding.units_alone() {
        encoding.units_alone()
    } else {
        encoding.units_joined()
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut used = 0;
        let end = rest
            .char_indices()
            .find(|&(_, c)| {
                used += encoding.units(c);
                used > room
            })
            .map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}
