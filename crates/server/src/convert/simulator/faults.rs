//! `SetScript` and `AdvanceClock`.

use std::time::Duration;

use parlance_app::Result;
use parlance_app::simulator::{Fault, FaultKind, Script};
use parlance_domain::Timestamp;
use parlance_proto::v1;

use crate::convert::fields::{Violations, non_empty};
use crate::convert::time::{duration, timestamp_to_proto};

const MAX_DELAY: Duration = Duration::from_hours(24);
/// An address has no more characters than this on any channel.
const MAX_ADDRESS: usize = 320;

/// `SetScript`.
pub(crate) fn script(request: v1::SetScriptRequest) -> Result<Script> {
    let mut violations = Violations::new();
    let v1::SetScriptRequest { seed, faults } = request;
    if faults.len() > Script::MAX_FAULTS {
        let most = Script::MAX_FAULTS;
        violations.push("faults", format!("at most {most} faults; leave some out"));
        return violations.finish(|| None);
    }
    let faults: Vec<_> = faults
        .into_iter()
        .enumerate()
        .filter_map(|(position, it)| {
            let mut nested = Violations::new();
            let read = fault(&mut nested, it);
            violations.nest(&format!("faults[{position}]"), nested);
            read
        })
        .collect();
    violations.finish(|| Some(Script { seed, faults }))
}

/// `None` if the kind is missing, which is recorded.
fn fault(violations: &mut Violations, fault: v1::Fault) -> Option<Fault> {
    let v1::Fault {
        kind,
        probability,
        count,
        delay,
        recipient,
    } = fault;
    let kind = fault_kind(violations, kind);
    if !(0.0..=1.0).contains(&probability) {
        violations.push("probability", "must be from 0 to 1");
    }
    violations.not_negative("count", count.into());
    let delay = duration(violations, "delay", delay);
    if delay.is_some_and(|delay| delay > MAX_DELAY) {
        violations.push("delay", "at most one day; shorten it");
    }
    violations.text("recipient", &recipient, MAX_ADDRESS);
    Some(Fault {
        kind: kind?,
        probability: if probability > 0.0 { probability } else { 1.0 },
        count: u32::try_from(count).ok().filter(|count| *count > 0),
        delay,
        recipient: non_empty(recipient),
    })
}

fn fault_kind(violations: &mut Violations, number: i32) -> Option<FaultKind> {
    match v1::FaultKind::try_from(number) {
        Ok(v1::FaultKind::Duplicate) => Some(FaultKind::Duplicate),
        Ok(v1::FaultKind::Reorder) => Some(FaultKind::Reorder),
        Ok(v1::FaultKind::Drop) => Some(FaultKind::Drop),
        Ok(v1::FaultKind::Delay) => Some(FaultKind::Delay),
        Ok(v1::FaultKind::AcceptThenTimeout) => Some(FaultKind::AcceptThenTimeout),
        Ok(v1::FaultKind::TooManyRequests) => Some(FaultKind::TooManyRequests),
        Ok(v1::FaultKind::ServerError) => Some(FaultKind::ServerError),
        Ok(v1::FaultKind::Hang) => Some(FaultKind::Hang),
        Ok(v1::FaultKind::OptedOut) => Some(FaultKind::OptedOut),
        Ok(v1::FaultKind::Unspecified) | Err(_) => {
            violations.push("kind", "required; use a kind that the API defines");
            None
        }
    }
}

/// `AdvanceClock`.
pub(crate) fn advance(request: v1::AdvanceClockRequest) -> Result<Duration> {
    let mut violations = Violations::new();
    let v1::AdvanceClockRequest { by } = request;
    if by.is_none() {
        violations.push("by", "required; must be a positive duration such as 3600s");
    }
    let by = duration(&mut violations, "by", by);
    violations.finish(|| by)
}

/// Converts the time on the clock.
pub(crate) fn advance_to_proto(time: Timestamp) -> v1::AdvanceClockResponse {
    v1::AdvanceClockResponse {
        time: Some(timestamp_to_proto(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    const fn seconds(seconds: i64) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos: 0 }
    }

    #[test]
    fn defaults_are_always_and_without_a_limit() {
        let request = v1::SetScriptRequest {
            seed: 7,
            faults: vec![v1::Fault {
                kind: v1::FaultKind::Drop.into(),
                ..Default::default()
            }],
        };
        let expected = Fault {
            kind: FaultKind::Drop,
            probability: 1.0,
            count: None,
            delay: None,
            recipient: None,
        };
        let script = script(request).unwrap();
        assert_eq!((script.seed, script.faults), (7, vec![expected]));
    }

    #[test]
    fn all_violations_of_a_script_are_reported() {
        let request = v1::SetScriptRequest {
            seed: 0,
            faults: vec![
                v1::Fault {
                    kind: v1::FaultKind::Hang.into(),
                    probability: f64::NAN,
                    count: -1,
                    delay: Some(seconds(86_401)),
                    recipient: "a\0".to_owned(),
                },
                v1::Fault {
                    kind: 99,
                    delay: Some(seconds(-1)),
                    ..Default::default()
                },
            ],
        };
        assert_eq!(
            rejected_fields(script(request)),
            [
                "faults[0].probability",
                "faults[0].count",
                "faults[0].delay",
                "faults[0].recipient",
                "faults[1].kind",
                "faults[1].delay",
            ]
        );
        let many = v1::SetScriptRequest {
            seed: 0,
            faults: vec![v1::Fault::default(); Script::MAX_FAULTS + 1],
        };
        assert_eq!(rejected_fields(script(many)), ["faults"]);
    }

    #[test]
    fn the_clock_moves_forward_only() {
        let by = |by| advance(v1::AdvanceClockRequest { by });
        assert_eq!(by(Some(seconds(60))).unwrap(), Duration::from_mins(1));
        for invalid in [None, Some(seconds(0)), Some(seconds(-1))] {
            assert_eq!(rejected_fields(by(invalid)), ["by"]);
        }
    }
}
