//! Text types that hold an address in canonical form.

/// Declares a text type that only its own module can construct.
macro_rules! canonical {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns the canonical text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(super) fn into_string(self) -> String {
                self.0
            }
        }
    };
}

pub(super) use canonical;
