//! Name of the provider.

/// The name of this provider, and of the credentials that a sender without a name uses.
pub const NAME: &str = "twilio";
