//! Why a call fails, on its way to the log.
//!
//! What a handler answers must not contain the cause, so it cannot travel with the status. The status is made and the call ends in
//! one poll on one thread: the cause waits there.

use std::borrow::Cow;
use std::cell::Cell;

thread_local! {
    static CAUSE: Cell<Option<Cow<'static, str>>> = const { Cell::new(None) };
}

/// Notes the cause of a status that is being made.
pub(crate) fn note(cause: impl Into<Cow<'static, str>>) {
    CAUSE.set(Some(cause.into()));
}

/// Takes what was noted. Called before each poll as well, so that no call is logged with the cause of another.
pub(super) fn take() -> Option<Cow<'static, str>> {
    CAUSE.take()
}
