//! The rules hold, and each of them is needed.

use super::super::search::{Broken, Expect, HOLDS, check_all};
use super::{Faults, Lock, NO_FAULT, Protocol, RULES, Rules, Sharing};

const DEATH: Faults = Faults {
    deaths: 1,
    ..NO_FAULT
};
const EVICTION: Faults = Faults {
    evictions: 1,
    ..NO_FAULT
};
const LOSS: Faults = Faults {
    losses: 1,
    ..NO_FAULT
};
const DISCONNECT: Faults = Faults {
    disconnects: 1,
    ..NO_FAULT
};

const OLDER_BEFORE_ACK: Expect = Expect::Only(&[Broken::NewThenOld]);

#[test]
fn the_rules_hold() {
    let faults = |faults| Rules { faults, ..RULES };
    let unlocked = |faults| Rules {
        lock: Lock::Never,
        ..Rules { faults, ..RULES }
    };
    let shared = |faults| Rules {
        sharing: Sharing::BeforeSelect,
        ..Rules { faults, ..RULES }
    };
    check_all(&[
        ("no fault", RULES, HOLDS),
        ("a writer dies", faults(DEATH), HOLDS),
        ("the lease is lost", faults(LOSS), OLDER_BEFORE_ACK),
        ("something is evicted", faults(EVICTION), OLDER_BEFORE_ACK),
        ("a writer is degraded", faults(DISCONNECT), OLDER_BEFORE_ACK),
        ("no common lock", unlocked(NO_FAULT), HOLDS),
        ("no common lock, a writer dies", unlocked(DEATH), HOLDS),
        (
            "no common lock, the lease is lost",
            unlocked(LOSS),
            OLDER_BEFORE_ACK,
        ),
        ("shared loads", shared(NO_FAULT), HOLDS),
        ("shared loads, a writer dies", shared(DEATH), HOLDS),
        (
            "shared loads, the lease is lost",
            shared(LOSS),
            OLDER_BEFORE_ACK,
        ),
        (
            "shared loads, a writer is degraded",
            shared(DISCONNECT),
            OLDER_BEFORE_ACK,
        ),
    ]);
}

#[test]
fn each_rule_is_needed() {
    use Expect::Breaks;
    let one_token = Rules {
        token_set: false,
        ..RULES
    };
    let dies = |rules| Rules {
        faults: DEATH,
        ..rules
    };
    let late_sharing = Rules {
        sharing: Sharing::AnyTime,
        ..RULES
    };
    let early_ack = Rules {
        ack_when_reconciled: false,
        faults: DISCONNECT,
        ..RULES
    };
    let unlocked = Rules {
        lock: Lock::Never,
        ..one_token
    };
    let locked_first = Rules {
        lock: Lock::BeforeFence,
        ..one_token
    };
    check_all(&[
        ("one token", one_token, Breaks(Broken::NewThenOld)),
        (
            "one token, a writer dies",
            dies(one_token),
            Breaks(Broken::LeftStale),
        ),
        (
            "one token, no common lock",
            unlocked,
            Breaks(Broken::NewThenOld),
        ),
        (
            "one token, no common lock, a writer dies",
            dies(unlocked),
            Breaks(Broken::LeftStale),
        ),
        (
            "one token is enough under the row's lock",
            locked_first,
            HOLDS,
        ),
        (
            "loads joined after the SELECT",
            late_sharing,
            Breaks(Broken::StaleAfterAck),
        ),
        (
            "a degraded writer is acknowledged at once",
            early_ack,
            Breaks(Broken::StaleAfterAck),
        ),
    ]);
}

#[test]
fn other_protocols_break() {
    const STALE: Expect = Expect::Breaks(Broken::StaleAfterAck);
    let rows = [
        (Protocol::DeleteAfterCommit, [STALE; 4]),
        (Protocol::DoubleDelete, [STALE; 4]),
        (Protocol::SetAfterCommit, [STALE; 4]),
        (
            Protocol::Tombstone,
            [HOLDS, Expect::Only(&[Broken::LeftStale]), STALE, STALE],
        ),
        (
            Protocol::LeaseAndDelete,
            [
                OLDER_BEFORE_ACK,
                Expect::Breaks(Broken::NewThenOld),
                OLDER_BEFORE_ACK,
                STALE,
            ],
        ),
    ];
    for (protocol, expected) in rows {
        for (faults, expect) in [NO_FAULT, DEATH, LOSS, DISCONNECT]
            .into_iter()
            .zip(expected)
        {
            let rules = Rules {
                protocol,
                faults,
                ..RULES
            };
            check_all(&[(&format!("{protocol:?}, {faults:?}"), rules, expect)]);
        }
    }
}
