//! Outcome of an event in a state machine.

/// Outcome of applying an event to a state. Late and repeated events are `Ignored`; they are not errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// The state changed to this one.
    Moved(T),
    /// The event adds nothing.
    Ignored,
    /// The event is not possible in this state.
    Illegal,
}
