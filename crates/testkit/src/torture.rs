//! How much is tested.

/// Whether `PARLANCE_TORTURE` asks for everything, however long it takes: `make torture` sets it.
pub fn torture() -> bool {
    std::env::var_os("PARLANCE_TORTURE").is_some_and(|value| !value.is_empty() && value != "0")
}
