//! The rules hold, and each of them is needed.

use super::super::search::{Broken, Expect, HOLDS, check_all};
use super::{Ack, Faults, GateCheck, Location, NewEpoch, Order, RULES, Record, Rules};

const STALE: Expect = Expect::Breaks(Broken::StaleAfterAck);

const NO_FAULT: Faults = Faults {
    disconnects: 0,
    ..RULES.faults
};
const FAILURE: Faults = Faults {
    failures: 1,
    ..NO_FAULT
};
const FAILOVER: Faults = Faults {
    failovers: 1,
    ..NO_FAULT
};
const TWO_FAILOVERS: Faults = Faults {
    failovers: 2,
    ..NO_FAULT
};

/// One writer, at instance 0.
const ONE: Rules = Rules {
    writers: &[Location::On(0)],
    ..RULES
};
/// One writer without Redis.
const OFF: Rules = Rules {
    writers: &[Location::Off],
    ..RULES
};
const FAILS: Rules = Rules {
    faults: FAILURE,
    ..ONE
};
const FAILS_OVER: Rules = Rules {
    faults: FAILOVER,
    ..ONE
};
/// A failover after which the old process continues to answer.
const SPLITS: Rules = Rules {
    split: true,
    ..FAILS_OVER
};
const FRESH: Rules = Rules { fresh: true, ..ONE };

const fn no_fills(rules: Rules) -> Rules {
    Rules {
        fillers: &[],
        ..rules
    }
}

const fn slow(rules: Rules, margin: u8) -> Rules {
    Rules {
        margin,
        faults: Faults {
            slow_ticks: 1,
            ..rules.faults
        },
        ..rules
    }
}

const fn disconnected_twice(rules: Rules) -> Rules {
    Rules {
        faults: Faults {
            disconnects: 2,
            ..rules.faults
        },
        ..rules
    }
}

const fn fence_lost(rules: Rules) -> Rules {
    Rules {
        faults: Faults {
            losses: 1,
            ..rules.faults
        },
        ..rules
    }
}

#[test]
fn the_rules_hold_when_instances_lose_redis() {
    let live = Rules { live: true, ..ONE };
    let live_fresh = Rules {
        live: true,
        ..FRESH
    };
    check_all(&[
        ("a disconnect, and it serves again", live, HOLDS),
        (
            "a writer on I0, one off, a disconnect",
            no_fills(RULES),
            HOLDS,
        ),
        ("both are disconnected", disconnected_twice(ONE), HOLDS),
        ("a fresh instance, which serves again", live_fresh, HOLDS),
    ]);
}

#[test]
fn the_rules_hold_when_redis_fails_over() {
    let twice = Rules {
        faults: TWO_FAILOVERS,
        ..ONE
    };
    let new_epoch = Rules {
        new_epoch: NewEpoch::KeepsRows,
        ..OFF
    };
    check_all(&[
        ("failover", FAILS_OVER, HOLDS),
        ("the old process continues to answer", SPLITS, HOLDS),
        ("two failovers", no_fills(twice), HOLDS),
        ("a new epoch in place of many rows", new_epoch, HOLDS),
    ]);
}

#[test]
fn the_rules_hold_when_a_clock_is_slow() {
    check_all(&[
        ("by a tick, which is the margin", slow(OFF, 1), HOLDS),
        (
            "the same with a failover and an old process",
            no_fills(slow(SPLITS, 1)),
            HOLDS,
        ),
    ]);
}

/// One to two million states each.
#[test]
fn the_rules_hold_in_the_largest_rows() {
    if !parlance_testkit::torture() {
        println!("searched only by `make torture`");
        return;
    }
    let both_fill = Rules {
        fillers: &[0, 1],
        ..FAILS
    };
    let two = Rules {
        writers: &[Location::On(0), Location::On(1)],
        ..FAILS
    };
    let one_off = Rules {
        faults: FAILURE,
        ..RULES
    };
    check_all(&[
        ("two writers, one off, failures", one_off, HOLDS),
        ("both fill, the fence is lost", fence_lost(both_fill), HOLDS),
        ("two healthy writers, failures", two, HOLDS),
    ]);
}

#[test]
fn each_wait_of_a_degraded_writer_is_needed() {
    let at_once = Rules {
        ack: Ack::AtOnce,
        ..RULES
    };
    let reconciled = Rules {
        ack: Ack::WhenReconciled,
        ..disconnected_twice(ONE)
    };
    let others_only = Rules {
        waits_for_own: false,
        ..FAILS
    };
    let before_commit = Rules {
        waits_from_commit: false,
        ..OFF
    };
    let never_ends = Expect::Only(&[Broken::WaitsTooLong]);
    let failed = Rules {
        failed_release_writes_rows: false,
        ..FAILS
    };
    check_all(&[
        ("acknowledged at once", at_once, STALE),
        ("acknowledged only when reconciled", reconciled, never_ends),
        ("serves_until of the others only", others_only, STALE),
        ("serves_until read before the commit", before_commit, STALE),
        ("failed release acknowledged at once", failed, HOLDS),
        ("and the fence is lost", fence_lost(failed), STALE),
    ]);
}

#[test]
fn the_order_of_a_pass_is_needed() {
    let order = |order| Rules { order, ..RULES };
    let by_key = Rules {
        deletes_rows_read: false,
        writers: &[Location::Off, Location::Off],
        ..RULES
    };
    let from_end = Rules {
        gate_from_begin: false,
        ..RULES
    };
    let looks_late = Rules {
        read_checks_gate_first: false,
        ..OFF
    };
    let own_clock = Rules {
        database_clock: false,
        ..RULES
    };
    let serves_first = Rules {
        fresh: true,
        reconciles_first: false,
        ..RULES
    };
    check_all(&[
        (
            "rows read before the renewal",
            order(Order::ReadThenRenew),
            STALE,
        ),
        ("in one transaction", order(Order::OneTransaction), STALE),
        ("rows deleted by key", by_key, STALE),
        ("gate counted from the end", from_end, STALE),
        ("gate checked after the GET", looks_late, STALE),
        ("serves_until by an instance's clock", own_clock, STALE),
        ("a slow clock without the margin", slow(RULES, 0), STALE),
        (
            "a fresh instance serves before its first pass",
            serves_first,
            STALE,
        ),
    ]);
}

#[test]
fn each_guard_between_two_processes_is_needed() {
    let nothing = Rules {
        record: Record::Nothing,
        stamped: false,
        ..FAILS_OVER
    };
    let unstamped = Rules {
        stamped: false,
        ..FAILS_OVER
    };
    let back = Rules {
        back: true,
        faults: TWO_FAILOVERS,
        ..ONE
    };
    let no_wait = Rules {
        record: Record::WithoutWait,
        ..SPLITS
    };
    let blind_fills = Rules {
        fill_checks_gate: false,
        ..SPLITS
    };
    let checks_gate = |writer_checks_gate| Rules {
        writer_checks_gate,
        ..SPLITS
    };
    let unsplit = Rules {
        writer_checks_gate: GateCheck::Never,
        ..FAILS_OVER
    };
    let any_epoch = Rules {
        delete_checks_epoch: false,
        split: true,
        faults: FAILOVER,
        ..OFF
    };
    let deletes_rows = Rules {
        new_epoch: NewEpoch::DeletesRows,
        ..OFF
    };
    check_all(&[
        ("no record, no stamp", nothing, STALE),
        ("no stamp", unstamped, STALE),
        ("an id that comes back", back, STALE),
        ("no wait after the record", no_wait, STALE),
        ("fills with a shut gate", blind_fills, STALE),
        (
            "a healthy writer never checks its gate",
            checks_gate(GateCheck::Never),
            STALE,
        ),
        (
            "it checks it at the fence only",
            checks_gate(GateCheck::AtFence),
            STALE,
        ),
        (
            "it need not check it where no old process answers",
            unsplit,
            HOLDS,
        ),
        ("rows deleted under another epoch", any_epoch, STALE),
        ("rows deleted with a new epoch", deletes_rows, STALE),
    ]);
}
