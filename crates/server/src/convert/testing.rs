//! Helpers that the tests of this module share.

use parlance_app::Result;
use parlance_domain::Timestamp;

use super::fields::Violations;

/// The current time of the tests.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The value that was read, from input without violations.
pub(super) fn accepted<T>(read: impl FnOnce(&mut Violations) -> T) -> T {
    let mut violations = Violations::new();
    let value = read(&mut violations);
    assert_eq!(
        violations.finish(|| Some(())).map_err(|e| e.to_string()),
        Ok(())
    );
    value
}

/// The fields with a recorded violation.
pub(super) fn violated_fields(read: impl FnOnce(&mut Violations)) -> Vec<String> {
    let mut violations = Violations::new();
    read(&mut violations);
    rejected_fields(violations.finish(|| Some(())))
}

/// The fields that an error names; none for an accepted request.
pub(super) fn rejected_fields<T>(read: Result<T>) -> Vec<String> {
    let Err(error) = read else { return Vec::new() };
    for violation in &error.violations {
        assert!(!violation.description.is_empty());
        assert!(
            !violation.description.starts_with(char::is_uppercase),
            "{violation:?} must begin in lower case"
        );
    }
    error.violations.iter().map(|v| v.field.clone()).collect()
}

/// The time so many seconds after [`NOW`].
pub(super) fn after_now(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: NOW.as_micros() / 1_000_000 + seconds,
        nanos: 0,
    }
}
