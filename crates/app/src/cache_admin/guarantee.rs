//! Text of the consistency guarantee that the cache gives at present.

use std::time::Duration;

use parlance_cache::{Backend, GateState};

const SEES: &str = "A read that begins after a write was acknowledged sees it";

/// The guarantee for clients.
pub(crate) fn guarantee(
    backend: Backend,
    gate: Option<&GateState>,
    max_staleness: Duration,
) -> String {
    let shut = gate.is_some_and(|gate| !gate.open);
    let now = match backend {
        Backend::Off => {
            return format!("{SEES}, whichever instance took it: nothing is cached.");
        }
        Backend::Memory if shut => "everything is read from the database now",
        Backend::Memory => "this instance alone writes to the database",
        Backend::Redis | Backend::Hybrid if shut => {
            "everything is read from the database now, and writes wait for no more than a second \
             until no instance serves what they change"
        }
        Backend::Redis => "whichever instance took it",
        Backend::Hybrid if max_staleness.is_zero() => "whichever instance took it",
        Backend::Hybrid => {
            let milliseconds = max_staleness.as_millis();
            return format!(
                "A read that begins {milliseconds} ms or more after a write was acknowledged sees it, whichever instance took it; \
                 an earlier one may be answered as it was before."
            );
        }
    };
    format!("{SEES}: {now}.")
}

#[cfg(test)]
mod tests {
    use parlance_cache::ClockState;

    use super::*;

    fn gate(open: bool) -> GateState {
        GateState {
            open,
            epoch: None,
            reconciled: None,
            trouble: String::new(),
            pending: 0,
            clock: ClockState::default(),
            refused: false,
        }
    }

    #[test]
    fn only_stale_copies_weaken_the_guarantee() {
        let of = |backend, open, staleness| {
            guarantee(backend, Some(&gate(open)), Duration::from_millis(staleness))
        };
        for backend in [
            Backend::Off,
            Backend::Memory,
            Backend::Redis,
            Backend::Hybrid,
        ] {
            for open in [true, false] {
                assert!(of(backend, open, 0).starts_with(SEES), "{backend:?} {open}");
            }
        }
        for backend in [Backend::Memory, Backend::Redis] {
            assert!(of(backend, true, 250).starts_with(SEES), "{backend:?}");
        }
        // With the gate shut no copy is served.
        assert!(of(Backend::Hybrid, false, 250).contains("read from the database"));
        assert!(of(Backend::Hybrid, true, 250).contains(" 250 ms "));
        assert!(guarantee(Backend::Memory, None, Duration::ZERO).contains("alone"));
    }
}
