//! Ranking of search results.

use super::word::words;
use super::{Language, Terms};

/// Characters of a body that are considered for ranking. The limit exists because a thousand messages are ranked at
/// once.
pub const RANKED_CHARS: usize = 1024;

/// Rank of a message: higher is better; never negative and never NaN.
pub type Score = f64;

/// Weights of the fields: a word in a shorter field counts more.
const TITLE: f64 = 3.0;
const SUBJECT: f64 = 2.0;
const BODY: f64 = 1.0;
/// BM25 saturation: how slowly further occurrences of a word stop adding to the score.
const SATURATION: f64 = 1.2;
/// Word count of a typical body; occurrences in longer bodies count less.
const USUAL_WORDS: f64 = 50.0;

/// Scores a message by the occurrences of each word and by how close together the words are. The first part is BM25
/// without inverse document frequency, which is equal for all results because each contains all words. The score
/// depends on its arguments only, so that pagination can continue from any result.
#[must_use]
pub fn score(query: &Terms, [title, subject, body]: [&str; 3], language: Language) -> Score {
    if query.is_empty() {
        return 0.0;
    }
    let mut counts = vec![0.0; query.len()];
    let mut proximity: f64 = 0.0;
    for (text, weight) in [(title, TITLE), (subject, SUBJECT), (body, BODY)] {
        let (positions, length) = find_words(query, text, language);
        let long = 0.25 + 0.75 * (f64::from(length) / USUAL_WORDS).min(20.0);
        for (term, _) in &positions {
            if let Some(count) = counts.get_mut(*term) {
                *count += weight / long;
            }
        }
        proximity = proximity.max(weight * closest_window(&positions, query.len()));
    }
    let occurrences: f64 = counts.iter().map(|n| n / (n + SATURATION)).sum();
    let of_all = f64::from(u32::try_from(query.len()).unwrap_or(u32::MAX));
    occurrences / of_all + proximity / TITLE
}

/// Returns the occurrences of the query's words, each with the word's index in the query and its position, and the
/// number of words in the text.
fn find_words(query: &Terms, text: &str, language: Language) -> (Vec<(usize, u32)>, u32) {
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

/// Proximity of the query's words: 1 if they are adjacent, less the further apart they are, 0 if one is missing.
fn closest_window(positions: &[(usize, u32)], terms: usize) -> f64 {
    let mut seen = vec![0_u32; terms];
    let (mut missing, mut first, mut shortest) = (terms, 0, u32::MAX);
    for &(term, position) in positions {
        let Some(count) = seen.get_mut(term) else {
            continue;
        };
        missing -= usize::from(*count == 0);
        *count += 1;
        while missing == 0 {
            let Some(&(leaving, from)) = positions.get(first) else {
                break;
            };
            shortest = shortest.min(position - from + 1);
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
