use std::time::Duration;

use parlance_testkit::history::{
    Change, Element, History, ListRead, ListWrite, Live, LiveCounts, Read, Recorder, Report, Rule,
    Span, Write,
};
use proptest::prelude::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn span(began: u64, ended: u64) -> Span {
    Span {
        began: ms(began),
        ended: ms(ended),
    }
}

fn read(began: u64, ended: u64, version: u64) -> Read {
    Read {
        key: 0,
        span: span(began, ended),
        version,
    }
}

fn write(began: u64, ended: u64, version: u64) -> Write {
    Write {
        key: 0,
        began: ms(began),
        acknowledged: Some((ms(ended), version)),
    }
}

fn unknown(began: u64) -> Write {
    Write {
        key: 0,
        began: ms(began),
        acknowledged: None,
    }
}

fn rows(writes: &[Write], reads: &[Read]) -> Report {
    let history = History {
        reads: reads.to_vec(),
        writes: writes.to_vec(),
        ..History::default()
    };
    history.check()
}

fn rules(report: &Report) -> Vec<Rule> {
    report.violations.iter().map(|v| v.rule).collect()
}

#[test]
fn a_read_sees_what_was_acknowledged_before_it_began() {
    let writes = [write(0, 1, 1), write(10, 20, 2)];
    assert!(rows(&writes, &[read(21, 30, 2)]).is_clean());
    // While the write is in progress, both versions are valid.
    assert!(rows(&writes, &[read(11, 19, 1), read(15, 40, 2)]).is_clean());
    assert!(rows(&writes, &[read(20, 30, 1)]).is_clean());
    let report = rows(&writes, &[read(24, 30, 1)]);
    assert_eq!(rules(&report), [Rule::StaleAfterAck]);
    let violation = &report.violations[0];
    assert_eq!(violation.before, Some(span(10, 20)));
    assert_eq!(violation.stale_for, ms(4));
    assert_eq!(
        violation.to_string(),
        "StaleAfterAck, key 0: the read of 24.000 to 30.000 ms returns v1 after v2 was acknowledged, \
         of 10.000 to 20.000 ms; stale for 4.000 ms"
    );
}

#[test]
fn staleness_counts_from_the_first_newer_version() {
    let writes = [write(0, 1, 1), write(2, 3, 2), write(4, 5, 3)];
    let report = rows(&writes, &[read(103, 104, 1)]);
    assert_eq!(report.stalest(), ms(100));
}

#[test]
fn a_read_is_not_older_than_a_completed_read() {
    let writes = [write(0, 1, 1), unknown(10)];
    let report = rows(&writes, &[read(11, 12, 2), read(13, 14, 1)]);
    assert_eq!(rules(&report), [Rule::NewThenOld]);
    assert_eq!(report.violations[0].before, Some(span(11, 12)));
    // Reads that overlap have no order.
    assert!(rows(&writes, &[read(11, 13, 2), read(12, 14, 1)]).is_clean());
    assert!(rows(&writes, &[read(11, 12, 2), read(12, 14, 1)]).is_clean());
}

#[test]
fn a_read_returns_nothing_that_no_write_started() {
    let writes = [write(0, 1, 1), unknown(10)];
    assert!(rows(&writes, &[read(8, 10, 2)]).is_clean());
    assert_eq!(rules(&rows(&writes, &[read(8, 9, 2)])), [Rule::Future]);
    assert_eq!(rules(&rows(&writes, &[read(20, 21, 3)])), [Rule::Future]);
}

#[test]
fn rows_are_checked_separately() {
    let other = Write {
        key: 1,
        ..write(0, 1, 1)
    };
    let writes = [write(0, 1, 1), write(2, 3, 2), other];
    let read = Read {
        key: 1,
        ..read(4, 5, 1)
    };
    assert!(rows(&writes, &[read]).is_clean());
}

#[test]
fn a_read_close_to_a_write_is_a_race() {
    let writes = [write(0, 1, 1), write(100, 120, 2), unknown(300)];
    let count = |began, ended, version| {
        let report = rows(&writes, &[read(began, ended, version)]);
        assert!(report.is_clean(), "{report}");
        report.races
    };
    for (began, ended, version) in [
        (104, 106, 1),
        (90, 95, 1),
        (112, 116, 1),
        (125, 130, 2),
        (50, 250, 1),
        (304, 310, 2),
        (6, 94, 1),
    ] {
        assert_eq!(count(began, ended, version), 1, "{began} to {ended}");
    }
    // The third is in the middle of a write, the last long after one.
    for (began, ended, version) in [(7, 94, 1), (126, 130, 2), (106, 114, 1), (306, 310, 2)] {
        assert_eq!(count(began, ended, version), 0, "{began} to {ended}");
    }
}

#[test]
fn a_clean_report_states_its_bound() {
    let reads: Vec<Read> = (0..300).map(|n| read(2 + n / 100, 5, 1)).collect();
    let report = rows(&[write(0, 1, 1), unknown(9)], &reads);
    assert_eq!(
        report.to_string(),
        "300 reads, 300 races, 1 writes and 1 unknown, 0 violations, 3/N 1.0e-2"
    );
}

fn change(began: u64, ended: u64, change: Change, sequence: u64, version: u64) -> ListWrite {
    ListWrite {
        key: 0,
        change,
        began: ms(began),
        acknowledged: Some((ms(ended), Element { sequence, version })),
    }
}

fn list(began: u64, ended: u64, elements: &[(u64, u64)]) -> ListRead {
    let element = |(sequence, version): &(u64, u64)| Element {
        sequence: *sequence,
        version: *version,
    };
    ListRead {
        key: 0,
        span: span(began, ended),
        elements: elements.iter().map(element).collect(),
        limit: 3,
    }
}

/// Four sends, an edit of the third, and a deletion of the fourth that is still in progress.
fn lists(reads: &[ListRead]) -> Vec<Rule> {
    let deletion = ListWrite {
        key: 0,
        change: Change::Delete(4),
        began: ms(60),
        acknowledged: None,
    };
    let mut list_writes: Vec<ListWrite> = (1..=4)
        .map(|n| change(n * 10, n * 10 + 1, Change::Send, n, 1))
        .collect();
    list_writes.push(change(50, 51, Change::Edit(3), 3, 2));
    list_writes.push(deletion);
    let history = History {
        list_writes,
        list_reads: reads.to_vec(),
        ..History::default()
    };
    rules(&history.check())
}

#[test]
fn a_list_has_every_acknowledged_message_or_is_full_of_newer_ones() {
    assert_eq!(lists(&[list(12, 13, &[(1, 1)])]), []);
    assert_eq!(lists(&[list(12, 22, &[(2, 1), (1, 1)])]), []);
    assert_eq!(lists(&[list(45, 46, &[(4, 1), (3, 1), (2, 1)])]), []);
    assert_eq!(lists(&[list(52, 53, &[(4, 1), (3, 2), (2, 1)])]), []);
    for stale in [
        list(45, 46, &[(3, 1), (2, 1), (1, 1)]),
        list(45, 46, &[(4, 1), (2, 1), (1, 1)]),
        list(45, 46, &[(4, 1), (3, 1)]),
        list(45, 46, &[]),
        list(52, 53, &[(4, 1), (3, 1), (2, 1)]),
    ] {
        assert_eq!(
            lists(std::slice::from_ref(&stale)),
            [Rule::StaleAfterAck],
            "{stale:?}"
        );
    }
}

#[test]
fn a_list_is_not_older_than_a_completed_read() {
    let newer = list(41, 42, &[(4, 1), (3, 2), (2, 1)]);
    let older = list(43, 44, &[(4, 1), (3, 1), (2, 1)]);
    assert_eq!(lists(&[newer, older]), [Rule::NewThenOld]);
}

#[test]
fn a_list_is_ordered_and_has_no_message_before_its_send() {
    assert_eq!(lists(&[list(22, 23, &[(1, 1), (2, 1)])]), [Rule::Disorder]);
    let twice = list(22, 23, &[(2, 1), (2, 1), (1, 1)]);
    assert_eq!(lists(&[twice]), [Rule::Disorder]);
    let early = list(12, 19, &[(2, 1), (1, 1)]);
    assert_eq!(lists(&[early]), [Rule::Future]);
}

#[test]
fn a_deleted_message_may_be_missing_during_its_deletion_and_must_be_afterwards() {
    let without = [(3, 2), (2, 1), (1, 1)];
    assert_eq!(lists(&[list(55, 61, &without)]), []);
    assert_eq!(lists(&[list(55, 59, &without)]), [Rule::StaleAfterAck]);
    let deleted = [
        change(10, 11, Change::Send, 1, 1),
        change(20, 21, Change::Delete(1), 1, 1),
    ];
    let history = |elements: &[(u64, u64)]| History {
        list_writes: deleted.to_vec(),
        list_reads: vec![list(22, 23, elements)],
        ..History::default()
    };
    assert!(history(&[]).check().is_clean());
    let report = history(&[(1, 1)]).check();
    assert_eq!(rules(&report), [Rule::StaleAfterAck]);
}

#[test]
fn the_logs_of_all_tasks_form_one_history() {
    let recorder = Recorder::new();
    let mut log = recorder.log();
    let made = log.begin_write(7);
    log.acknowledged(&made, 1);
    let lost = log.begin_write(7);
    drop((log, lost));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut log = recorder.log();
            scope.spawn(move || {
                for _ in 0..100 {
                    let begun = log.begin_read();
                    log.read(begun, 7, 1);
                }
            });
        }
    });
    let mut log = recorder.log();
    let sent = log.begin_change(1, Change::Send);
    let element = Element {
        sequence: 1,
        version: 1,
    };
    log.changed(&sent, element);
    let begun = log.begin_read();
    log.read_list(begun, 1, vec![element], 50);
    drop(log);
    // Lists are not counted before the end.
    let so_far = recorder.so_far();
    assert_eq!((so_far.reads, so_far.writes, so_far.stale), (400, 1, 0));
    let report = recorder.finish().check();
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (report.reads, report.writes, report.unknown_writes),
        (401, 2, 1)
    );
}

#[test]
#[should_panic(expected = "every log has been dropped")]
fn finish_panics_while_a_log_is_in_use() {
    let recorder = Recorder::new();
    let _log = recorder.log();
    recorder.finish();
}

/// An operation: when it is requested, how long until it takes effect, and how long until the response. For a write
/// also whether it has an effect, and whether it gets a response.
#[derive(Debug, Clone)]
struct Operation {
    began: u64,
    effect: u64,
    ended: u64,
    write: Option<(bool, bool)>,
}

fn operation() -> impl Strategy<Value = Operation> {
    let write = prop::option::of((prop::bool::weighted(0.9), prop::bool::weighted(0.9)));
    (0..2_000_u64, 0..40_u64, 0..40_u64, write).prop_map(|(began, effect, more, write)| Operation {
        began,
        effect: began + effect,
        ended: began + effect + more,
        write,
    })
}

/// Returns the history of a store that executes one operation at a time.
fn sequential_history(mut operations: Vec<Operation>) -> History {
    operations.sort_by_key(|operation| operation.effect);
    let mut history = History::default();
    history.writes.push(write(0, 0, 1));
    let mut version = 1;
    for Operation {
        began,
        ended,
        write: kind,
        ..
    } in operations
    {
        let (began, ended) = (began + 1, ended + 1);
        match kind {
            None => history.reads.push(read(began, ended, version)),
            Some((false, _)) => history.writes.push(unknown(began)),
            Some((true, is_acknowledged)) => {
                version += 1;
                history.writes.push(if is_acknowledged {
                    write(began, ended, version)
                } else {
                    unknown(began)
                });
            }
        }
    }
    history
}

/// Adds the operations to the live counters in the order of time; equal times in the order that accuses no read
/// wrongly.
fn count_live(history: &History) -> LiveCounts {
    let mut steps: Vec<(Duration, u8, usize)> = Vec::new();
    for (number, write) in history.writes.iter().enumerate() {
        steps.push((write.began, 0, number));
        steps.extend(write.acknowledged.map(|(at, _)| (at, 2, number)));
    }
    for (number, read) in history.reads.iter().enumerate() {
        steps.push((read.span.ended, 1, number));
    }
    steps.sort_unstable();
    let live = Live::default();
    for (_, step, number) in steps {
        match step {
            0 => live.begin_write(history.writes[number].key, history.writes[number].began),
            1 => {
                let Read { key, span, version } = history.reads[number];
                live.read(key, span, version);
            }
            _ => {
                let Write { key, began, .. } = history.writes[number];
                let (ended, version) = history.writes[number].acknowledged.unwrap();
                live.acknowledged(key, Span { began, ended }, version);
            }
        }
    }
    live.counts()
}

proptest! {
    #[test]
    fn live_counts_equal_the_result_of_the_check(
        operations in prop::collection::vec(operation(), 0..200),
        olds in prop::collection::vec((any::<prop::sample::Index>(), 1..4_u64), 0..20),
    ) {
        let mut history = sequential_history(operations);
        for (which, by) in olds {
            if !history.reads.is_empty() {
                let read = which.index(history.reads.len());
                let version = &mut history.reads[read].version;
                *version = version.saturating_sub(by);
            }
        }
        let (counts, report) = (count_live(&history), history.check());
        let stale = report.violations.iter().filter(|v| v.rule == Rule::StaleAfterAck);
        let stale: Vec<Duration> = stale.map(|v| v.stale_for).collect();
        let checked = LiveCounts {
            reads: report.reads,
            races: report.races,
            writes: report.writes,
            stale: stale.len(),
            stalest: stale.into_iter().max().unwrap_or_default(),
        };
        prop_assert_eq!(counts, checked);
    }

    #[test]
    fn a_sequential_history_passes(operations in prop::collection::vec(operation(), 0..200)) {
        let report = sequential_history(operations).check();
        prop_assert!(report.is_clean(), "{report}");
    }

    #[test]
    fn a_planted_stale_read_is_found(
        operations in prop::collection::vec(operation(), 10..200),
        which in any::<prop::sample::Index>(),
        older in any::<prop::sample::Index>(),
        later in 1..50_u64,
    ) {
        let mut history = sequential_history(operations);
        let acknowledged: Vec<(Duration, u64)> =
            history.writes.iter().filter_map(|write| write.acknowledged).collect();
        let (at, version) = *which.get(&acknowledged);
        let at = u64::try_from(at.as_millis()).unwrap();
        let stale = older.index(usize::try_from(version).unwrap());
        let planted = read(at + later, at + later + 1, u64::try_from(stale).unwrap());
        history.reads.push(planted);
        let report = history.check();
        let found = report.violations.iter().any(|violation| {
            violation.rule == Rule::StaleAfterAck && violation.read == planted.span
        });
        prop_assert!(found, "{report}");
    }

    #[test]
    fn a_planted_step_back_is_found(
        operations in prop::collection::vec(operation(), 10..200),
        later in 1..50_u64,
    ) {
        let mut history = sequential_history(operations);
        let begun = u64::try_from(history.writes.len()).unwrap();
        // A write without acknowledgement that one read has seen.
        history.writes.push(unknown(5_000));
        let first = read(5_001, 5_002, begun + 1);
        let second = read(5_002 + later, 5_100, begun);
        history.reads.extend([first, second]);
        let report = history.check();
        prop_assert_eq!(rules(&report), [Rule::NewThenOld]);
    }
}
