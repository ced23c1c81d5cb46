//! Words of a text: their position, and their folded form, in which `Café` and `CAFE` are equal.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::Language;

/// Maximum length of a word in characters; longer words are truncated. This also bounds the size of index keys.
const MAX_CHARS: usize = 64;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Byte range in the text.
    pub(super) range: Range<usize>,
    /// Search term.
    pub(super) term: Cow<'a, str>,
}

/// Returns the words of a text in order.
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

/// Returns the next run of letters and digits with their combining marks. In scripts written without spaces, each
/// character is a word.
fn next_range(text: &str, from: usize) -> Option<Range<usize>> {
    let begins = |(_, c): &(usize, char)| c.is_alphanumeric();
    let mut rest = text[from..].char_indices().skip_while(|at| !begins(at));
    let (start, first) = rest.next()?;
    let alone = is_single_word(first);
    let end = rest
        .find(|&(_, c)| {
            !is_combining_mark(c) && (alone || !c.is_alphanumeric() || is_single_word(c))
        })
        .map_or(text.len(), |(end, _)| from + end);
    Some(from + start..end)
}

/// Whether the character is a word by itself: Chinese characters and kana.
const fn is_single_word(c: char) -> bool {
    matches!(
        c,
        '\u{3041}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// Folds a word: lower case, one normalization form, and no optional marks.
fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        let word = &word[..word.len().min(MAX_CHARS)];
        if word.bytes().any(|b| b.is_ascii_uppercase()) {
            return Cow::Owned(word.to_ascii_lowercase());
        }
        return Cow::Borrowed(word);
    }
    let folded = word
        .nfkd()
        .filter(|c| !is_optional_mark(*c))
        .flat_map(char::to_lowercase)
        // A character may decompose into characters that are not part of a word, such as the slash of a fraction.
        .filter(|c| c.is_alphanumeric() || is_combining_mark(*c))
        .map(|c| if c == 'ς' { 'σ' } else { c });
    Cow::Owned(folded.take(MAX_CHARS).collect())
}

/// Whether a mark is optional: accents of European scripts, vowel points of Hebrew and Arabic. Vowel signs of Indic
/// scripts are letters and stay.
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
