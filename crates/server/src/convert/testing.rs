//! What the tests of this module share.

use parlance_app::Result;
use parlance_domain::Timestamp;

use super::fields::Found;

/// The moment at which the tests take place.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// What was read where nothing may be wrong.
pub(super) fn seen<T>(read: impl FnOnce(&mut Found) -> T) -> T {
    let mut found = Found::new();
    let value = read(&mut found);
    assert_eq!(found.finish(|| Some(())).map_err(|e| e.to_string()), Ok(()));
    value
}

/// The fields that were found wrong.
pub(super) fn fields_of(read: impl FnOnce(&mut Found)) -> Vec<String> {
    let mut found = Found::new();
    read(&mut found);
    wrong(found.finish(|| Some(())))
}

/// The fields that a refusal names; none for what was accepted.
pub(super) fn wrong<T>(read: Result<T>) -> Vec<String> {
    let Err(error) = read else { return Vec::new() };
    for violation in &error.violations {
        assert!(!violation.description.is_empty());
        assert!(
            !violation.description.starts_with(char::is_uppercase),
            "{violation:?} begins in lower case"
        );
    }
    error.violations.iter().map(|v| v.field.clone()).collect()
}

/// A moment so many seconds after [`NOW`].
pub(super) fn after_now(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: NOW.as_micros() / 1_000_000 + seconds,
        nanos: 0,
    }
}
