//! Passes the cause of a failed call to its log record.
//!
//! The reply must not contain the cause, so the cause cannot be part of the status. The status is made and the call ends in one
//! poll on one thread, so the cause is kept in a thread-local variable.

use std::borrow::Cow;
use std::cell::Cell;

thread_local! {
    static CAUSE: Cell<Option<Cow<'static, str>>> = const { Cell::new(None) };
}

/// Stores the cause of a status that is being made.
pub fn note(cause: impl Into<Cow<'static, str>>) {
    CAUSE.set(Some(cause.into()));
}

/// Takes the stored cause. Called before each poll as well, so that no call is logged with the cause of another.
pub(super) fn take() -> Option<Cow<'static, str>> {
    CAUSE.take()
}
