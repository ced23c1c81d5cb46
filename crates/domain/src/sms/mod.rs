//! How a text travels by SMS: in which encoding, and cut into which segments.
//!
//! One segment holds 160 septets or 70 units of UTF-16; of a longer text each holds 153 or 67, since the header that joins them
//! takes room. One character outside GSM-7 turns the whole text to UCS-2.

mod gsm7;
#[cfg(test)]
mod tests;

use crate::text_enum::text_enum;

text_enum! {
    /// How the characters of a text message are encoded.
    pub enum Encoding {
        /// The GSM 03.38 alphabet: one septet for a character, two for one of its extension.
        Gsm7 = "gsm7",
        /// UTF-16: one unit for a character, two for one beyond the basic plane, such as an emoji.
        Ucs2 = "ucs2",
    }
}

impl Encoding {
    /// The encoding that a text needs.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.chars().all(|c| gsm7::septets(c).is_some()) {
            Self::Gsm7
        } else {
            Self::Ucs2
        }
    }

    /// Units that a message of one segment holds.
    #[must_use]
    pub const fn units_alone(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units that each segment of a longer message holds.
    #[must_use]
    pub const fn units_joined(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// Units that a character takes. Both halves of an escape or surrogate pair belong to one `char`, so whoever cuts
    /// between characters cannot cut a pair.
    fn units(self, c: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::septets(c).unwrap_or(0),
            Self::Ucs2 => c.len_utf16(),
        }
    }
}

/// What a text costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// How it is encoded.
    pub encoding: Encoding,
    /// How many segments it takes; 0 for no text.
    pub segments: i32,
    /// Septets or UTF-16 units of the text, without headers.
    pub units: usize,
}

/// Measures a text. More than the units divided by 153 or 67 may come out: where a pair does not fit the end of a segment, that
/// end stays empty.
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

/// Cuts a text into what each segment carries; nothing for no text.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    let encoding = Encoding::of(text);
    let units = text.chars().map(|c| encoding.units(c)).sum();
    cuts(text, encoding, units).collect()
}

/// The parts, each as long as fits.
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
