//! Error codes of the provider, as codes of Parlance. What is to happen follows from the HTTP status, not from these: the
//! provider splits codes without notice, and keeps its own code beside ours for people.

/// The recipient has opted out.
pub(super) const OPTED_OUT: &str = "opted_out";
/// The queue of the number is full, which the provider reports as a refusal.
pub(super) const FROM_QUEUE_FULL: i64 = 21_611;

/// Codes of refused requests and of undelivered messages.
const CODES: &[(i64, &str)] = &[
    (20_003, "unauthorized"),
    (20_404, "not_found"),
    (20_429, "throttled"),
    (21_211, "invalid_recipient"),
    (21_408, "region_not_permitted"),
    (21_603, "invalid_sender"),
    (21_606, "invalid_sender"),
    (21_608, "recipient_not_permitted"),
    (21_610, OPTED_OUT),
    (FROM_QUEUE_FULL, "queue_full"),
    (21_612, "no_route"),
    (21_614, "invalid_recipient"),
    (21_617, "too_long"),
    (30_001, "queue_full"),
    (30_002, "account_suspended"),
    (30_003, "unreachable"),
    (30_004, "blocked"),
    (30_005, "invalid_recipient"),
    (30_006, "no_route"),
    (30_007, "filtered"),
    (30_008, "unknown_error"),
    (30_034, "unregistered_sender"),
    (30_036, "expired"),
    (30_450, "filtered"),
    (30_610, "quiet_hours"),
    (30_640, "filtered"),
    (63_014, "blocked"),
];

/// Returns our code; `otherwise` for a code that has none.
pub(super) fn code(provider_code: Option<i64>, otherwise: &'static str) -> &'static str {
    let known = CODES
        .iter()
        .find(|(known, _)| Some(*known) == provider_code);
    known.map_or(otherwise, |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_listed_once() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(code(Some(21_610), "refused"), OPTED_OUT);
        assert_eq!(code(Some(1), "refused"), "refused");
        assert_eq!(code(None, "refused"), "refused");
    }
}
