//! Rules for the times of a message: when it is sent, and when it expires.

use crate::{Channel, Timestamp, Violation};

/// View of a message's times.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScheduleView {
    /// Channel; `None` while it is unknown, for example before the conversation that a request names is loaded.
    pub channel: Option<Channel>,
    /// When the message is sent; at once without it, or if the time has passed.
    pub send_at: Option<Timestamp>,
    /// When the message expires.
    pub expires_at: Option<Timestamp>,
}

impl ScheduleView {
    /// Returns all violations. Without `now` a time that has passed is accepted: a repeated request returns its message
    /// even if that has expired since.
    #[must_use]
    pub fn check(&self, now: Option<Timestamp>) -> Vec<Violation> {
        let Self {
            channel,
            send_at,
            expires_at,
        } = *self;
        let mut violations = Vec::new();
        if channel == Some(Channel::Chat) {
            for (field, time) in [("send_at", send_at), ("expires_at", expires_at)] {
                if time.is_some() {
                    let why = "a chat message is delivered at once; leave it out";
                    violations.push(Violation::new(field, why));
                }
            }
            return violations;
        }
        let earliest = send_at.max(now);
        if expires_at
            .zip(earliest)
            .is_some_and(|(expires, earliest)| expires <= earliest)
        {
            violations.push(Violation::new(
                "expires_at",
                "must be after send_at and after the current time; use a later time",
            ));
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the times of a view are optional")]
    const fn at(micros: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(micros))
    }

    fn fields(
        channel: Option<Channel>,
        times: (Option<Timestamp>, Option<Timestamp>),
        now: Option<Timestamp>,
    ) -> Vec<String> {
        let (send_at, expires_at) = times;
        let view = ScheduleView {
            channel,
            send_at,
            expires_at,
        };
        view.check(now).into_iter().map(|v| v.field).collect()
    }

    #[test]
    fn a_message_expires_after_it_is_sent_and_after_now() {
        let now = at(10);
        for (send_at, expires_at, now, valid) in [
            (None, None, now, true),
            (at(20), None, now, true),
            (at(5), None, now, true),
            (None, at(11), now, true),
            (None, at(10), now, false),
            (None, at(10), None, true),
            (at(5), at(11), now, true),
            (at(5), at(10), now, false),
            (at(5), at(10), None, true),
            (at(20), at(21), now, true),
            (at(20), at(20), now, false),
            (at(20), at(20), None, false),
            (at(20), at(15), None, false),
        ] {
            let expected = if valid { vec![] } else { vec!["expires_at"] };
            for channel in [None, Some(Channel::Sms), Some(Channel::Email)] {
                assert_eq!(
                    fields(channel, (send_at, expires_at), now),
                    expected,
                    "{channel:?} {send_at:?} {expires_at:?} {now:?}"
                );
            }
        }
    }

    #[test]
    fn a_chat_message_has_neither_time() {
        for (times, expected) in [
            ((None, None), vec![]),
            ((at(1), None), vec!["send_at"]),
            ((None, at(1)), vec!["expires_at"]),
            ((at(2), at(1)), vec!["send_at", "expires_at"]),
        ] {
            for now in [None, at(5)] {
                let fields = fields(Some(Channel::Chat), times, now);
                assert_eq!(fields, expected, "{times:?} {now:?}");
            }
        }
    }
}
