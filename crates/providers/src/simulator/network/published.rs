//! Test numbers that Twilio publishes, `+1500555000N`, with its meanings.

use http::StatusCode;

use super::refusal::{Refusal, code};

/// Returns the refusal of a message to this number; `None` if the number is an ordinary recipient.
pub(super) fn refusal_of_recipient(to: &str) -> Option<Refusal> {
    let (code, message) = match to {
        "+15005550001" => (
            code::INVALID_TO,
            format!("The 'To' number {to} is not a valid phone number"),
        ),
        "+15005550002" => (
            code::NO_ROUTE,
            format!("Message cannot be sent: no route to the 'To' number {to}"),
        ),
        "+15005550003" => (
            code::NO_PERMISSION,
            format!(
                "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}"
            ),
        ),
        "+15005550004" => return Some(Refusal::opted_out()),
        "+15005550009" => (
            code::NOT_MOBILE,
            format!("'To' number is not a valid mobile number: {to}"),
        ),
        _ => return None,
    };
    Some(Refusal::new(code, message))
}

/// Returns the refusal of a message from this number; `None` if the number is an ordinary sender.
pub(super) fn refusal_of_sender(from: &str) -> Option<Refusal> {
    match from {
        "+15005550001" => Some(Refusal::new(
            code::INVALID_FROM,
            format!("The 'From' number {from} is not a valid phone number or sender id"),
        )),
        "+15005550007" => Some(Refusal::new(
            code::FROM_NOT_OWNED,
            format!(
                "The 'From' phone number provided ({from}) is not a valid message-capable phone number of this account"
            ),
        )),
        "+15005550008" => Some(
            Refusal::new(
                code::QUEUE_FULL,
                format!(
                    "This 'From' number {from} has exceeded the maximum number of queued messages"
                ),
            )
            .with_status(StatusCode::TOO_MANY_REQUESTS),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digit: u32) -> String {
        format!("+1500555000{digit}")
    }

    #[test]
    fn the_numbers_have_the_published_meanings() {
        let codes = |refusal: fn(&str) -> Option<Refusal>| -> Vec<_> {
            let refusals = (0..10).map(|digit| (digit, refusal(&number(digit))));
            refusals
                .filter_map(|(digit, refusal)| Some((digit, refusal?.code)))
                .collect()
        };
        assert_eq!(
            codes(refusal_of_recipient),
            [
                (1, 21_211),
                (2, 21_612),
                (3, 21_408),
                (4, 21_610),
                (9, 21_614)
            ]
        );
        assert_eq!(
            codes(refusal_of_sender),
            [(1, 21_212), (7, 21_606), (8, 21_611)]
        );
    }
}
