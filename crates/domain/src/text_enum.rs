//! Declaration of an enum that is stored and logged as a lower-case word.

/// Declares a field-less enum with `ALL`, `as_str` and `parse`, so that every variant has a word.
macro_rules! text_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the word used in databases, caches and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Returns the variant of a word; `None` for an unknown word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Checks that every word parses to its variant and that no two variants share a word.
    macro_rules! round_trip {
        ($($enum:ty),+ $(,)?) => {$({
            let words: BTreeSet<&str> = <$enum>::ALL.iter().map(|v| v.as_str()).collect();
            assert_eq!(words.len(), <$enum>::ALL.len());
            for &variant in <$enum>::ALL {
                assert_eq!(<$enum>::parse(variant.as_str()), Some(variant));
                assert_eq!(variant.to_string(), variant.as_str());
                assert_eq!(<$enum>::parse(&variant.as_str().to_uppercase()), None);
            }
            assert_eq!(<$enum>::parse(""), None);
        })+};
    }

    #[test]
    fn every_word_round_trips() {
        round_trip![
            crate::Channel,
            crate::ConversationStatus,
            crate::DeliveryPolicy,
            crate::Direction,
            crate::EventType,
            crate::MessageStatus,
            crate::Role,
            crate::SenderStatus,
            crate::message::ReportStatus,
            crate::search::Language,
            crate::sms::Encoding,
        ];
    }
}
