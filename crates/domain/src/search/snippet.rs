//! Snippets: the excerpt of a message that shows why it matched.

use super::word::words;
use super::{Language, Terms};

/// Maximum length in characters, without markup and escapes.
const LENGTH: usize = 160;
/// Maximum number of these characters before the first match.
const BEFORE: usize = 40;
const CUT: &str = "…";

/// Returns up to 160 characters around the first match, with each match in `<mark>` and `</mark>`. The excerpt comes
/// from the first text that matches, otherwise from the beginning of the first text that is not empty. All other
/// characters are escaped, so the snippet is safe as HTML. A run of white space and control characters becomes one
/// space.
#[must_use]
pub fn snippet(query: &Terms, texts: [&str; 3], language: Language) -> String {
    let first_match = |text: &str| {
        let found = words(text, language).find(|word| query.contains(&word.term))?;
        Some(found.range.start)
    };
    let found = texts
        .iter()
        .find_map(|text| Some((*text, first_match(text)?)));
    let (text, at) = found
        .or_else(|| {
            texts
                .iter()
                .find(|text| !text.is_empty())
                .map(|text| (*text, 0))
        })
        .unwrap_or_default();
    let from = start(text, at);
    let to = from + length(&text[from..], LENGTH);
    let mut shown = String::with_capacity(to - from + 32);
    if from > 0 {
        shown.push_str(CUT);
    }
    let mut done = from;
    let begins_inside = text[..from].ends_with(char::is_alphanumeric);
    for word in words(&text[from..], language) {
        let (start, end) = (from + word.range.start, (from + word.range.end).min(to));
        if start >= to {
            break;
        }
        let is_cut = start == from && from != at && begins_inside;
        if query.contains(&word.term) && !is_cut {
            escape(&text[done..start], &mut shown);
            shown.push_str("<mark>");
            escape(&text[start..end], &mut shown);
            shown.push_str("</mark>");
            done = end;
        }
    }
    escape(&text[done..to], &mut shown);
    if to < text.len() {
        shown.push_str(CUT);
    }
    shown
}

/// Start of the excerpt: up to 40 characters before the match, at the beginning of a word if possible.
fn start(text: &str, at: usize) -> usize {
    let before = text[..at].char_indices().rev();
    let Some((earliest, _)) = before.take(BEFORE).last() else {
        return at;
    };
    if earliest == 0 {
        return 0;
    }
    let blank = text[earliest..at].find(char::is_whitespace);
    blank.map_or(earliest, |blank| {
        let after = earliest + blank;
        after + text[after..].chars().next().map_or(0, char::len_utf8)
    })
}

/// Length in bytes of the first `chars` characters.
fn length(text: &str, chars: usize) -> usize {
    text.char_indices()
        .nth(chars)
        .map_or(text.len(), |(end, _)| end)
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_whitespace() || c.is_control() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
}
