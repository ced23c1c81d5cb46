//! Words: where they stand in a text, and their folded form, which does not tell `Café` from `CAFE`.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::Language;

/// Characters of a word that count; of a longer one the rest does not tell it from others. A key of an index has a limit, too.
const LONGEST: usize = 64;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// What it is searched by.
    pub(super) term: Cow<'a, str>,
}

/// The words of a text, in their order.
pub(super) fn words(text: &str, language: Language) -> impl Iterator<Item = Word<'_>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let range = next_range(text, rest)?;
            rest = range.end;
            let folded = fold(&text[range.clone()]);
            if folded.is_empty() {
                continue;
            }
            let term = match folded {
                Cow::Borrowed(folded) => language.stem(folded),
                Cow::Owned(folded) => Cow::Owned(language.stem(&folded).into_owned()),
            };
            return Some(Word { range, term });
        }
    })
}

/// A run of letters and digits, with the marks on them. Where a script is written without spaces each character is a word.
fn next_range(text: &str, from: usize) -> Option<Range<usize>> {
    let begins = |(_, c): &(usize, char)| c.is_alphanumeric();
    let mut rest = text[from..].char_indices().skip_while(|at| !begins(at));
    let (start, first) = rest.next()?;
    let alone = stands_alone(first);
    let end = rest
        .find(|&(_, c)| !is_combining_mark(c) && (alone || !c.is_alphanumeric() || stands_alone(c)))
        .map_or(text.len(), |(end, _)| from + end);
    Some(from + start..end)
}

/// Chinese characters and kana.
const fn stands_alone(c: char) -> bool {
    matches!(
        c,
        '\u{3041}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// In lower case, in one spelling, and without the marks that people leave out.
fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        let word = &word[..word.len().min(LONGEST)];
        if word.bytes().any(|b| b.is_ascii_uppercase()) {
            return Cow::Owned(word.to_ascii_lowercase());
        }
        return Cow::Borrowed(word);
    }
    let folded = word
        .nfkd()
        .filter(|c| !is_optional_mark(*c))
        .flat_map(char::to_lowercase)
        // A character may decompose into some that are not of a word, such as the stroke of a fraction.
        .filter(|c| c.is_alphanumeric() || is_combining_mark(*c))
        .map(|c| if c == 'ς' { 'σ' } else { c });
    Cow::Owned(folded.take(LONGEST).collect())
}

/// Accents of European scripts, the vowel points of Hebrew and Arabic. Not the vowel signs of Indic scripts: they are letters.
const fn is_optional_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{591}'..='\u{5bd}'
            | '\u{5bf}'..='\u{5c7}'
            | '\u{64b}'..='\u{65f}'
            | '\u{670}'
    )
}
