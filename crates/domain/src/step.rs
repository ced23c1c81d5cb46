//! What an event does to a state.

/// The outcome of applying an event to a state. Late and repeated events are `Ignored`, not errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// The state changed into this one.
    Moved(T),
    /// The event says nothing new.
    Ignored,
    /// The event cannot happen in this state.
    Illegal,
}
