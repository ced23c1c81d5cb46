//! The rules hold, and each of them is needed.

use super::super::search::{Broken, Expect, HOLDS, check_all};
use super::{Faults, Fence, Op, Rules, Stamps};

const NO_FAULT: Faults = Faults {
    deaths: 0,
    losses: 0,
    evictions: 0,
    failures: 0,
    aborts: 0,
    failovers: 0,
};

/// Two senders.
const RULES: Rules = Rules {
    fence: Fence::Mark,
    ops: &[Op::Send, Op::Send],
    messages: 1,
    checks_sequence: true,
    mark_at_head: true,
    stamps: Stamps::All,
    fence_drops_reader: true,
    release_drops_reader: true,
    faults: NO_FAULT,
};
const THREE: Rules = Rules {
    ops: &[Op::Send, Op::Send, Op::Send],
    ..RULES
};
const EDIT: Rules = Rules {
    ops: &[Op::Send, Op::Edit],
    ..RULES
};
const TWO_AND_EDIT: Rules = Rules {
    ops: &[Op::Send, Op::Send, Op::Edit],
    ..RULES
};
const DELETION: Rules = Rules {
    ops: &[Op::Send, Op::Delete],
    messages: 2,
    ..RULES
};

const DIES: Faults = Faults {
    deaths: 1,
    ..NO_FAULT
};
const LOST: Faults = Faults {
    losses: 1,
    ..NO_FAULT
};
const EVICTED: Faults = Faults {
    evictions: 1,
    ..NO_FAULT
};
const LOST_AND_EVICTED: Faults = Faults {
    evictions: 1,
    ..LOST
};
const ALL_THREE: Faults = Faults {
    deaths: 1,
    ..LOST_AND_EVICTED
};
const FAILOVER: Faults = Faults {
    failovers: 1,
    ..NO_FAULT
};

const fn with(faults: Faults, rules: Rules) -> Rules {
    Rules { faults, ..rules }
}

/// R2: before the acknowledgement, and only then.
const OLDER_BEFORE_ACK: Expect = Expect::Only(&[Broken::NewThenOld]);
const STALE: Expect = Expect::Breaks(Broken::StaleAfterAck);

#[test]
fn the_rules_hold_while_no_lease_is_lost() {
    check_all(&[
        ("two senders", RULES, HOLDS),
        ("the list is evicted", with(EVICTED, RULES), HOLDS),
        ("three senders", THREE, HOLDS),
        ("one dies", with(DIES, RULES), HOLDS),
        ("one of three dies", with(DIES, THREE), HOLDS),
        ("sender and edit", EDIT, HOLDS),
        (
            "two senders and edit, one dies",
            with(DIES, TWO_AND_EDIT),
            HOLDS,
        ),
    ]);
}

#[test]
fn acknowledged_writes_are_visible_whatever_is_lost() {
    let twice = Faults {
        losses: 2,
        evictions: 2,
        ..NO_FAULT
    };
    let fails_and_aborts = Faults {
        failures: 1,
        aborts: 1,
        ..LOST
    };
    let full = Rules {
        messages: 2,
        ..RULES
    };
    let lost_and_dies = Faults { deaths: 1, ..LOST };
    let lost_and_failover = Faults {
        losses: 1,
        ..FAILOVER
    };
    let rows = [
        ("lease lost, list evicted", with(LOST_AND_EVICTED, RULES)),
        ("twice each", with(twice, RULES)),
        ("and one dies", with(ALL_THREE, RULES)),
        (
            "lease lost, a release fails, a send aborts",
            with(fails_and_aborts, RULES),
        ),
        ("sender and edit", with(LOST_AND_EVICTED, EDIT)),
        ("two senders and edit", with(LOST, TWO_AND_EDIT)),
        ("sender and deletion", with(LOST, DELETION)),
        ("a full list, one dies", with(lost_and_dies, full)),
        ("sender, edit, failover", with(FAILOVER, EDIT)),
        ("two senders, failover", with(lost_and_failover, RULES)),
    ];
    check_all(&rows.map(|(name, rules)| (name, rules, OLDER_BEFORE_ACK)));
}

#[test]
fn each_rule_is_needed() {
    let mark_only = Rules {
        fence: Fence::MarkOnly,
        ..RULES
    };
    let untouched = Rules {
        release_drops_reader: false,
        ..mark_only
    };
    let keeps_reader = Rules {
        release_drops_reader: false,
        ..with(LOST, RULES)
    };
    let fence_keeps_reader = Rules {
        fence_drops_reader: false,
        ..with(EVICTED, RULES)
    };
    let anywhere = Rules {
        mark_at_head: false,
        ..RULES
    };
    let head = Rules {
        stamps: Stamps::Head,
        ..with(FAILOVER, EDIT)
    };
    let unstamped = Rules {
        stamps: Stamps::None,
        ..with(FAILOVER, RULES)
    };
    check_all(&[
        ("a mark, the lease untouched", untouched, STALE),
        (
            "a mark, the release drops readers",
            mark_only,
            OLDER_BEFORE_ACK,
        ),
        ("the release keeps readers", keeps_reader, STALE),
        (
            "the fence keeps readers",
            fence_keeps_reader,
            OLDER_BEFORE_ACK,
        ),
        ("a mark is replaced at any position", anywhere, STALE),
        ("the stamp of the head alone", head, STALE),
        ("no stamp", unstamped, STALE),
    ]);
}

/// A second guard: no rule broke without it.
#[test]
fn the_sequence_is_checked_twice() {
    let rules = |rules| Rules {
        checks_sequence: false,
        ..rules
    };
    check_all(&[
        ("two senders", rules(RULES), HOLDS),
        (
            "whatever is lost",
            rules(with(ALL_THREE, RULES)),
            OLDER_BEFORE_ACK,
        ),
    ]);
}

#[test]
fn other_fences_break_or_delete_the_list() {
    let fence = |fence, rules| Rules { fence, ..rules };
    let (delete, stash) = (Fence::Delete, Fence::Stash);
    check_all(&[
        ("the list is deleted", fence(delete, RULES), HOLDS),
        (
            "whatever is lost",
            fence(delete, with(ALL_THREE, EDIT)),
            OLDER_BEFORE_ACK,
        ),
        ("the list is renamed", fence(stash, RULES), STALE),
        ("a push after the commit", fence(Fence::None, RULES), STALE),
    ]);
}
