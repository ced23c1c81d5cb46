//! How well a message fits a query.

use super::word::words;
use super::{Language, Terms};

/// Characters of a body that are looked at to rank it: a thousand messages are ranked at once.
pub const RANKED_CHARS: usize = 1024;

/// How well a message fits: higher is better; never negative, never not a number.
pub type Score = f64;

/// A word counts more where fewer words are.
const TITLE: f64 = 3.0;
const SUBJECT: f64 = 2.0;
const BODY: f64 = 1.0;
/// How slowly further occurrences of a word cease to count.
const SATURATION: f64 = 1.2;
/// Words of a body of usual length: a longer one has them by chance.
const USUAL_WORDS: f64 = 50.0;

/// By the occurrences of each word (BM25 without the rarity of words, which is the same for all that have all of them), and
/// by how near to one another they stand. It depends on nothing but its arguments, so that a page can go on where one ended.
#[must_use]
pub fn score(query: &Terms, [title, subject, body]: [&str; 3], language: Language) -> Score {
    if query.is_empty() {
        return 0.0;
    }
    let mut counts = vec![0.0; query.len()];
    let mut nearness: f64 = 0.0;
    for (text, weight) in [(title, TITLE), (subject, SUBJECT), (body, BODY)] {
        let (places, length) = places(query, text, language);
        let long = 0.25 + 0.75 * (f64::from(length) / USUAL_WORDS).min(20.0);
        for (term, _) in &places {
            if let Some(count) = counts.get_mut(*term) {
                *count += weight / long;
            }
        }
        nearness = nearness.max(weight * nearest(&places, query.len()));
    }
    let occurrences: f64 = counts.iter().map(|n| n / (n + SATURATION)).sum();
    let of_all = f64::from(u32::try_from(query.len()).unwrap_or(u32::MAX));
    occurrences / of_all + nearness / TITLE
}

/// The occurrences of the query's words, by their number in it and their place; and how many words there are.
fn places(query: &Terms, text: &str, language: Language) -> (Vec<(usize, u32)>, u32) {
    let mut found = Vec::new();
    let mut length = 0;
    for word in words(text, language) {
        length += 1;
        if let Some(number) = query.position(&word.term) {
            found.push((number, length));
        }
    }
    (found, length)
}

/// 1 where all words stand side by side, less the further they are apart, 0 where one is missing.
fn nearest(places: &[(usize, u32)], terms: usize) -> f64 {
    let mut seen = vec![0_u32; terms];
    let (mut missing, mut first, mut shortest) = (terms, 0, u32::MAX);
    for &(term, place) in places {
        let Some(count) = seen.get_mut(term) else {
            continue;
        };
        missing -= usize::from(*count == 0);
        *count += 1;
        while missing == 0 {
            let Some(&(leaving, from)) = places.get(first) else {
                break;
            };
            shortest = shortest.min(place - from + 1);
            first += 1;
            if let Some(count) = seen.get_mut(leaving) {
                *count -= 1;
                missing += usize::from(*count == 0);
            }
        }
    }
    if shortest == u32::MAX {
        return 0.0;
    }
    f64::from(u32::try_from(terms).unwrap_or(u32::MAX)) / f64::from(shortest)
}
