//! Tests of words, matches, ranking and snippets.

use proptest::prelude::*;

use super::*;
use crate::{Channel, ConversationId, Direction, Owner, Timestamp};

fn words(text: &str) -> Vec<String> {
    words_in(text, Language::Simple)
}

fn words_in(text: &str, language: Language) -> Vec<String> {
    let words = super::word::words(text, language);
    words.map(|word| word.term.into_owned()).collect()
}

#[test]
fn a_word_is_a_run_of_letters_and_digits() {
    for (text, expected) in [
        ("", &[][..]),
        ("🙂 -- \0 !!! \" ' : * ( ) ^ ~ \\ \u{202e}", &[]),
        ("Hello, World!", &["hello", "world"]),
        (
            "don't e-mail a@b.example 4,50",
            &["don", "t", "e", "mail", "a", "b", "example", "4", "50"],
        ),
        ("a\0b", &["a", "b"]),
        ("ab12cd", &["ab12cd"]),
        ("日本語 is 日", &["日", "本", "語", "is", "日"]),
        ("x🙂y", &["x", "y"]),
        ("a AND b NEAR/2 c*", &["a", "and", "b", "near", "2", "c"]),
        ("שלום עולם", &["שלום", "עולם"]),
    ] {
        assert_eq!(words(text), expected, "{text:?}");
    }
}

#[test]
fn case_and_accents_are_ignored() {
    for alike in [
        &["café", "CAFÉ", "cafe\u{301}", "Cafe"][..],
        &["ÅNGSTRÖM", "ångström", "angstrom"],
        &["ΣΊΣΥΦΟΣ", "σίσυφος", "σισυφοσ"],
        &["ﬁne", "FINE"],
        &["ｗｉｄｅ", "wide"],
        &["İstanbul", "istanbul"],
        &["שָׁלוֹם", "שלום"],
        &["한국", "한국"],
    ] {
        for other in alike {
            assert_eq!(words(other), words(alike[0]), "{other}");
        }
    }
    assert_ne!(words("की"), words("का"), "a vowel sign is a letter");
}

#[test]
fn a_language_stems_the_forms_of_a_word() {
    assert_eq!(
        words_in("Connections", Language::English),
        words_in("connected", Language::English)
    );
    assert_eq!(
        words_in("Häuser", Language::German),
        words_in("HAUSER", Language::German)
    );
    assert_ne!(words("connections"), words("connected"));
}

#[test]
fn a_long_word_is_truncated() {
    let long = "ä".repeat(10_000);
    assert_eq!(words(&long), ["a".repeat(64)]);
    assert_eq!(words(&"B".repeat(10_000)), ["b".repeat(64)]);
}

#[test]
fn the_terms_of_a_message_fit_into_a_row() {
    let numbers: Vec<String> = (0..300_000).map(|n: u32| n.to_string()).collect();
    let long = numbers.join(" ");
    let owner = Owner::default();
    let id = ConversationId::new(Timestamp::from_micros(0), [0; 10]);
    let scopes = [
        Scope::Owner(&owner),
        Scope::User("ada"),
        Scope::Conversation(id),
        Scope::Channel(Channel::Sms),
        Scope::Direction(Direction::Inbound),
    ];
    let terms = document(["title", "subject", &long], scopes, Language::Simple);
    let bytes: usize = terms.iter().map(str::len).sum();
    assert!(bytes < 1_000_000 && terms.len() > 100_000, "{bytes}");
    assert!(terms.contains("title") && terms.contains("subject") && terms.contains("=hsms"));
    assert_eq!(terms.iter().filter(|term| term.starts_with('=')).count(), 5);
    assert!(terms.iter().is_sorted_by(|a, b| a < b));
}

#[test]
fn more_and_closer_words_rank_higher() {
    let query = query("red car", Language::Simple);
    let score_of = |title: &str, body: &str| score(&query, [title, "", body], Language::Simple);
    let far = format!("red {} car", "and ".repeat(40));
    let ranked = [
        score_of("red car", "none"),
        score_of("", "red car red car"),
        score_of("", "a red car"),
        score_of("", "red and then a car"),
        score_of("", &far),
    ];
    assert!(ranked.is_sorted_by(|a, b| a > b), "{ranked:?}");
    assert!(ranked.iter().all(|score| *score > 0.0));
    assert_eq!(
        score(&Terms::default(), ["a"; 3], Language::Simple).to_bits(),
        0
    );
}

#[test]
fn a_snippet_marks_matches_and_escapes_the_rest() {
    let shown = |text: &str, of: &str| {
        snippet(
            &query(text, Language::Simple),
            [of, "", ""],
            Language::Simple,
        )
    };
    for (text, of, expected) in [
        ("", "", ""),
        ("", "a <b>\n\t c", "a &lt;b&gt; c"),
        (
            "b",
            "<script>alert('b')</script>",
            "&lt;script&gt;alert(&#39;<mark>b</mark>&#39;)&lt;/script&gt;",
        ),
        ("mark", "<mark>", "&lt;<mark>mark</mark>&gt;"),
        ("amp", "&amp;", "&amp;<mark>amp</mark>;"),
        (
            "cafe",
            "Ein CAFÉ \"da\"",
            "Ein <mark>CAFÉ</mark> &quot;da&quot;",
        ),
        (
            "a b",
            "a c b a",
            "<mark>a</mark> c <mark>b</mark> <mark>a</mark>",
        ),
    ] {
        assert_eq!(shown(text, of), expected, "{text} in {of}");
    }
    let long = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
    let found = shown("needle", &long);
    assert!(
        found.starts_with("…hay ") && found.ends_with('…'),
        "{found}"
    );
    assert!(found.contains("<mark>needle</mark>"), "{found}");
    assert_eq!(
        shown("aaaa", &"a".repeat(10_000)),
        "a".repeat(160) + "…",
        "another word"
    );
    assert_eq!(
        shown(&"a".repeat(10_000), &"a".repeat(10_000)),
        format!("<mark>{}</mark>…", "a".repeat(160))
    );
}

#[test]
fn a_snippet_is_of_the_first_text_with_a_match() {
    let query = query("x", Language::Simple);
    let of = |texts| snippet(&query, texts, Language::Simple);
    assert_eq!(of(["a", "b x", "x"]), "b <mark>x</mark>");
    assert_eq!(of(["", "b", "c"]), "b");
}

proptest! {
    #[test]
    fn any_text_has_terms_of_letters_alone(text in any::<String>()) {
        for language in Language::ALL {
            let mut end = 0;
            for word in super::word::words(&text, *language) {
                prop_assert!(word.range.start >= end && word.range.end > word.range.start);
                prop_assert!(text.is_char_boundary(word.range.start) && text.is_char_boundary(word.range.end));
                end = word.range.end;
                prop_assert!(!word.term.is_empty() && word.term.len() <= 1024);
                prop_assert!(!word.term.contains(|c: char| c.is_whitespace() || c.is_control() || c.is_ascii_punctuation()));
                // Characters that SQLite's tokenizer would change.
                prop_assert!(!word.term.contains(|c: char| c.is_ascii_uppercase()));
            }
        }
    }

    #[test]
    fn every_word_of_a_text_matches_itself(text in any::<String>(), from in 0_usize..40) {
        let known = query(&text, Language::Simple);
        for word in super::word::words(&text, Language::Simple).skip(from % 7) {
            let again = query(&text[word.range], Language::Simple);
            prop_assert!(again.iter().all(|term| known.contains(term)));
        }
    }

    #[test]
    fn any_snippet_is_escaped_and_short(text in any::<String>(), wanted in any::<String>()) {
        let shown = snippet(&query(&wanted, Language::Simple), [&text, "", ""], Language::Simple);
        let bare = shown.replace("<mark>", "").replace("</mark>", "");
        prop_assert!(!bare.contains(['<', '>', '"', '\'']));
        prop_assert_eq!(shown.matches("<mark>").count(), shown.matches("</mark>").count());
        let bare = bare.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
        prop_assert!(bare.chars().count() <= 162);
    }

    #[test]
    fn any_score_is_a_number(wanted in any::<String>(), text in any::<String>()) {
        let found = score(&query(&wanted, Language::Simple), [&text, &wanted, &text], Language::Simple);
        prop_assert!(found.is_finite() && found >= 0.0);
    }
}
