//! Languages of search: which forms of a word have a common stem.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

use crate::text_enum::text_enum;

text_enum! {
    /// Language of the searched texts.
    pub enum Language {
        /// No stemming: a word matches itself only.
        Simple = "simple",
        /// Arabic.
        Arabic = "arabic",
        /// Danish.
        Danish = "danish",
        /// Dutch.
        Dutch = "dutch",
        /// English.
        English = "english",
        /// Finnish.
        Finnish = "finnish",
        /// French.
        French = "french",
        /// German.
        German = "german",
        /// Greek.
        Greek = "greek",
        /// Hungarian.
        Hungarian = "hungarian",
        /// Italian.
        Italian = "italian",
        /// Norwegian.
        Norwegian = "norwegian",
        /// Portuguese.
        Portuguese = "portuguese",
        /// Romanian.
        Romanian = "romanian",
        /// Russian.
        Russian = "russian",
        /// Spanish.
        Spanish = "spanish",
        /// Swedish.
        Swedish = "swedish",
        /// Tamil.
        Tamil = "tamil",
        /// Turkish.
        Turkish = "turkish",
    }
}

impl Language {
    /// Returns the stem of a folded word.
    pub(super) fn stem(self, folded: &str) -> Cow<'_, str> {
        match self.algorithm() {
            Some(algorithm) => {
                let stem = Stemmer::create(algorithm).stem(folded);
                // A stemming rule may remove the whole word.
                if stem.is_empty() {
                    Cow::Borrowed(folded)
                } else {
                    stem
                }
            }
            None => Cow::Borrowed(folded),
        }
    }

    const fn algorithm(self) -> Option<Algorithm> {
        Some(match self {
            Self::Simple => return None,
            Self::Arabic => Algorithm::Arabic,
            Self::Danish => Algorithm::Danish,
            Self::Dutch => Algorithm::Dutch,
            Self::English => Algorithm::English,
            Self::Finnish => Algorithm::Finnish,
            Self::French => Algorithm::French,
            Self::German => Algorithm::German,
            Self::Greek => Algorithm::Greek,
            Self::Hungarian => Algorithm::Hungarian,
            Self::Italian => Algorithm::Italian,
            Self::Norwegian => Algorithm::Norwegian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Romanian => Algorithm::Romanian,
            Self::Russian => Algorithm::Russian,
            Self::Spanish => Algorithm::Spanish,
            Self::Swedish => Algorithm::Swedish,
            Self::Tamil => Algorithm::Tamil,
            Self::Turkish => Algorithm::Turkish,
        })
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the macro that declares the enum knows no default"
)]
impl Default for Language {
    fn default() -> Self {
        Self::Simple
    }
}
